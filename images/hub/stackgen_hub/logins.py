"""JupyterHub's settings for each login, from the environment that compose.yaml gives the hub.

Which class a login has (AUTHENTICATOR_CLASS) and which settings it takes is decided by stackgen's table of logins.
"""

import hashlib
import ssl
from collections.abc import Mapping

from ldapauthenticator.ldapauthenticator import TlsStrategy
from traitlets.config import Config

WRONG_PASSWORDS = 10  # before an account is locked; images/hub/pam/faillock.conf says the same
LOCKED_SECONDS = 300


def configure_login(c: Config, env: Mapping[str, str]) -> str:
    """Set the authenticator's class and settings in `c`, as AUTH and the settings of that login say.

    Returns what a change of which makes it another login: AUTH, and the provider's address.
    """
    c.JupyterHub.authenticator_class = env["AUTHENTICATOR_CLASS"]
    c.StackAuthenticator.volume_prefix = env["VOLUME_PREFIX"]
    c.Authenticator.allow_all = env.get("ALLOW_ALL") == "true"
    # jupyterhub_config.py sets admin_users
    c.Authenticator.any_allow_config = True
    _CONFIGURE[env["AUTH"]](c, env)
    return c.ProviderAuthenticator.get("provider", env["AUTH"])


def _accounts(c: Config, env: Mapping[str, str]) -> None:
    c.NativeAuthenticator.enable_signup = env["ALLOW_SIGNUP"] == "true"
    c.NativeAuthenticator.minimum_password_length = 8
    c.NativeAuthenticator.check_common_password = True
    c.NativeAuthenticator.allowed_failed_logins = WRONG_PASSWORDS
    c.NativeAuthenticator.seconds_before_next_try = LOCKED_SECONDS


def _pam(c: Config, env: Mapping[str, str]) -> None:
    """The class itself says all."""


def _ldap(c: Config, env: Mapping[str, str]) -> None:
    ldap = c.LDAPAuthenticator
    ldap.server_address = env["LDAP_SERVER"]
    ldap.tls_strategy = TlsStrategy.before_bind if env["LDAP_TLS"] == "start-tls" else TlsStrategy.on_connect
    # ldap3 checks no certificate unless it is told to
    ldap.tls_kwargs = {"validate": ssl.CERT_REQUIRED, "ca_certs_file": ssl.get_default_verify_paths().cafile}
    if env["LDAP_PORT"]:
        ldap.server_port = int(env["LDAP_PORT"])
    # names.user_name decides what a name may be, and ldapauthenticator escapes what LDAP would misread
    ldap.valid_username_regex = r"^\S+$"
    ldap.user_attribute = env["LDAP_USER_ATTRIBUTE"]
    if env["LDAP_BIND_DN"]:
        ldap.bind_dn_template = [env["LDAP_BIND_DN"]]
    else:
        ldap.lookup_dn = True
        ldap.user_search_base = env["LDAP_SEARCH_BASE"]
        ldap.lookup_dn_search_user = env["LDAP_SEARCH_USER"] or None
        ldap.lookup_dn_search_password = env["LDAP_SEARCH_PASSWORD"] or None
        # the user's name as the directory writes it, however it was typed
        ldap.lookup_dn_user_dn_attribute = env["LDAP_USER_ATTRIBUTE"]
        ldap.use_lookup_dn_username = True
    ldap.allowed_groups = _list(env["ALLOWED_GROUPS"], ";")
    ldap.group_attributes = ["1.1"]  # none: that the group is found says all (RFC 4511, section 4.5.1.8)


def _oauth(c: Config, env: Mapping[str, str]) -> None:
    oauth = c.OAuthenticator
    oauth.client_id = env["OAUTH_CLIENT_ID"]
    oauth.client_secret = env["OAUTH_CLIENT_SECRET"]
    oauth.oauth_callback_url = env["OAUTH_CALLBACK_URL"]
    oauth.enable_pkce = True
    if env["OAUTH_SCOPES"]:
        oauth.scope = env["OAUTH_SCOPES"].split()
    if env["LOGIN_SERVICE"]:
        oauth.login_service = env["LOGIN_SERVICE"]
    # What the provider says of a person is kept, encrypted, to ask again whether it still holds.
    c.Authenticator.enable_auth_state = True
    c.CryptKeeper.keys = [hashlib.sha256(env["CRYPT_KEY"].encode()).digest()]


def _groups(c: Config, env: Mapping[str, str]) -> None:
    """The provider's groups become JupyterHub's, and decide who may log in and who is an admin."""
    c.Authenticator.manage_groups = True
    c.OAuthenticator.allowed_groups = set(_list(env["ALLOWED_GROUPS"]))
    c.OAuthenticator.admin_groups = set(_list(env["ADMIN_GROUPS"]))


def _openid(c: Config, env: Mapping[str, str]) -> None:
    _oauth(c, env)
    _groups(c, env)
    c.OpenIDConnectAuthenticator.groups_claim = env["GROUPS_CLAIM"]
    if env["USERNAME_CLAIM"]:
        c.OAuthenticator.username_claim = env["USERNAME_CLAIM"]


def _piculator(c: Config, env: Mapping[str, str]) -> None:
    _openid(c, env)
    c.ProviderAuthenticator.provider = f"piculator {env['PICULATOR_URL']}"
    c.PiculatorOAuthenticator.piculator_url = env["PICULATOR_URL"]
    for trait, key in {
        "authorize_url": "PICULATOR_AUTHORIZE_URL",
        "token_url": "PICULATOR_TOKEN_URL",
        "userdata_url": "PICULATOR_USERINFO_URL",
        "end_session_url": "PICULATOR_LOGOUT_URL",
    }.items():
        if env[key]:
            setattr(c.PiculatorOAuthenticator, trait, env[key])


def _oidc(c: Config, env: Mapping[str, str]) -> None:
    _openid(c, env)
    c.ProviderAuthenticator.provider = f"oidc {env['OIDC_ISSUER']}"
    c.OpenIDConnectAuthenticator.issuer = env["OIDC_ISSUER"]


def _github(c: Config, env: Mapping[str, str]) -> None:
    _oauth(c, env)
    c.ProviderAuthenticator.provider = "github"
    organizations = set(_list(env["ALLOWED_GROUPS"]))
    c.GitHubOAuthenticator.allowed_organizations = organizations
    if organizations and not env["OAUTH_SCOPES"]:
        c.OAuthenticator.scope = ["read:org"]  # else only public members are seen


def _gitlab(c: Config, env: Mapping[str, str]) -> None:
    _oauth(c, env)
    c.ProviderAuthenticator.provider = f"gitlab {env['GITLAB_URL']}"
    c.GitLabOAuthenticator.gitlab_url = env["GITLAB_URL"]
    c.GitLabOAuthenticator.allowed_gitlab_groups = set(_list(env["ALLOWED_GROUPS"]))
    if not env["OAUTH_SCOPES"]:
        c.OAuthenticator.scope = ["read_api"] if env["ALLOWED_GROUPS"] else ["read_user"]


def _google(c: Config, env: Mapping[str, str]) -> None:
    _oauth(c, env)
    c.ProviderAuthenticator.provider = "google"
    c.GoogleOAuthenticator.hosted_domain = _list(env["GOOGLE_DOMAINS"])
    # Google gives a refresh token only if it is asked for one and the user consents; without it everybody would have to
    # log in again every hour.
    c.OAuthenticator.extra_authorize_params = {"access_type": "offline", "prompt": "consent"}


def _azuread(c: Config, env: Mapping[str, str]) -> None:
    _oauth(c, env)
    _groups(c, env)
    c.ProviderAuthenticator.provider = f"azuread {env['AZUREAD_TENANT']}"
    c.AzureAdOAuthenticator.tenant_id = env["AZUREAD_TENANT"]
    # upstream's default is the display name, which others may share
    c.AzureAdOAuthenticator.username_claim = env["USERNAME_CLAIM"] or "upn"
    c.AzureAdOAuthenticator.auth_state_groups_key = lambda state: state["user"].get(env["GROUPS_CLAIM"]) or []


def _cilogon(c: Config, env: Mapping[str, str]) -> None:
    _oauth(c, env)
    c.ProviderAuthenticator.provider = "cilogon"
    c.CILogonOAuthenticator.idps = {
        idp: {"username_derivation": {"username_claim": env["USERNAME_CLAIM"] or "eppn"}}
        for idp in env["CILOGON_IDPS"].split()
    }


def _list(text: str, separator: str = ",") -> list[str]:
    return [item.strip() for item in text.split(separator) if item.strip()]


_CONFIGURE = {
    "accounts": _accounts, "pam": _pam, "ldap": _ldap, "piculator": _piculator, "oidc": _oidc, "github": _github,
    "gitlab": _gitlab, "google": _google, "azuread": _azuread, "cilogon": _cilogon,
}  # fmt: skip
