"""THE table of logins: what each value of AUTH is, the settings that it needs, and who may then log in."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from stackgen.errors import Problem


@dataclass(frozen=True)
class Login:
    """One way to log in; `name` is the value of AUTH."""

    name: str
    help: str  # one line, for docs/logins.md
    authenticator: str  # the class on the hub
    needs: tuple[str, ...] = ()  # settings without which it cannot work
    either: tuple[str, ...] = ()  # settings of which it needs exactly one
    takes: tuple[str, ...] = ()  # further settings that mean something with it
    provider: str = ""  # who knows the users, if not the stack itself
    oauth: bool = False  # a browser goes to the provider and comes back to OAUTH_CALLBACK_URL

    @property
    def passwords(self) -> bool:
        """Whether stackgen manages accounts and passwords."""
        return not self.provider

    @property
    def settings(self) -> tuple[str, ...]:
        """All that the hub is told when this is the login."""
        return (*self.needs, *self.either, *self.takes)


_CLIENT = ("OAUTH_CLIENT_ID", "OAUTH_CLIENT_SECRET")
_BUTTON = ("LOGIN_SERVICE", "OAUTH_SCOPES")
_CLAIMS = ("USERNAME_CLAIM", "GROUPS_CLAIM")
_GROUPS = ("ALLOW_ALL", "ALLOWED_GROUPS", "ADMIN_GROUPS")

LOGINS = {
    login.name: login
    for login in (
        Login(
            "accounts", "User names and passwords that you give out; users may change their password.",
            "stackgen_hub.accounts.AccountsAuthenticator", takes=("ALLOW_SIGNUP",),
        ),
        Login(
            "piculator", "Piculator, a club's account service: OpenID Connect if it offers that, else OAuth 2.0.",
            "stackgen_hub.providers.PiculatorAuthenticator", provider="Piculator", oauth=True,
            needs=("PICULATOR_URL", *_CLIENT),
            takes=(
                "PICULATOR_AUTHORIZE_URL", "PICULATOR_TOKEN_URL", "PICULATOR_USERINFO_URL", "PICULATOR_LOGOUT_URL",
                *_BUTTON, *_CLAIMS, *_GROUPS,
            ),
        ),
        Login(
            "oidc", "Any provider of OpenID Connect, by its issuer's address.",
            "stackgen_hub.providers.OidcAuthenticator", provider="the OpenID Connect provider", oauth=True,
            needs=("OIDC_ISSUER", *_CLIENT), takes=(*_BUTTON, *_CLAIMS, *_GROUPS),
        ),
        Login(
            "github", "GitHub; its groups are organizations.",
            "stackgen_hub.providers.GitHubAuthenticator", provider="GitHub", oauth=True,
            needs=_CLIENT, takes=(*_BUTTON, "ALLOW_ALL", "ALLOWED_GROUPS"),
        ),
        Login(
            "gitlab", "gitlab.com or a GitLab of your own; its groups are GitLab's, such as school/teachers.",
            "stackgen_hub.providers.GitLabAuthenticator", provider="GitLab", oauth=True,
            needs=_CLIENT, takes=("GITLAB_URL", *_BUTTON, "ALLOW_ALL", "ALLOWED_GROUPS"),
        ),
        Login(
            "google", "Google, or a Google Workspace.",
            "stackgen_hub.providers.GoogleAuthenticator", provider="Google", oauth=True,
            needs=_CLIENT, takes=("GOOGLE_DOMAINS", *_BUTTON, "ALLOW_ALL"),
        ),
        Login(
            "azuread", "Microsoft Entra ID (Azure AD); its groups are given by their object ids.",
            "stackgen_hub.providers.AzureAdAuthenticator", provider="Microsoft Entra ID", oauth=True,
            needs=("AZUREAD_TENANT", *_CLIENT), takes=(*_BUTTON, *_CLAIMS, *_GROUPS),
        ),
        Login(
            "cilogon", "Universities through CILogon.",
            "stackgen_hub.providers.CILogonAuthenticator", provider="CILogon", oauth=True,
            needs=("CILOGON_IDPS", *_CLIENT), takes=(*_BUTTON, "USERNAME_CLAIM", "ALLOW_ALL"),
        ),
        Login(
            "ldap", "An LDAP directory, or Active Directory, over TLS; its groups are given by their DNs.",
            "stackgen_hub.ldap.LdapAuthenticator", provider="the LDAP directory",
            needs=("LDAP_SERVER",), either=("LDAP_BIND_DN", "LDAP_SEARCH_BASE"),
            takes=(
                "LDAP_TLS", "LDAP_PORT", "LDAP_SEARCH_USER", "LDAP_SEARCH_PASSWORD", "LDAP_USER_ATTRIBUTE",
                "ALLOW_ALL", "ALLOWED_GROUPS",
            ),
        ),
        Login(
            "pam", "Unix accounts in the hub's container, with passwords that you give out.",
            "stackgen_hub.pam.PamAuthenticator",
        ),
    )
}  # fmt: skip

_RULES = ("ALLOW_ALL", "ALLOWED_GROUPS", "ADMIN_GROUPS", "ADMIN_USERS")
_NO_EFFECT = {
    "ALLOW_SIGNUP": "only AUTH=accounts has a sign-up",
    "ALLOW_ALL": "everybody who has an account may log in anyway",
    "ALLOWED_GROUPS": "it knows no groups, so they would restrict nobody",
    "ADMIN_GROUPS": "it makes nobody an admin by a group",
}


def needed(settings: Mapping[str, str]) -> tuple[str, ...]:
    """The settings without which the chosen login cannot work, in the order in which to ask for them."""
    login = LOGINS[settings["AUTH"]]
    # behind another proxy only the operator knows the address that users type
    return login.needs + (("OAUTH_CALLBACK_URL",) if login.oauth and settings["TLS"] == "off" else ())


def lets_anyone_in(settings: Mapping[str, str]) -> bool:
    """Whether there is a rule by which somebody may log in."""
    return LOGINS[settings["AUTH"]].passwords or any(settings[key] not in ("", "false") for key in _RULES)


def contradictions(settings: Mapping[str, str]) -> Iterator[Problem]:
    """What is missing for the chosen login, and what would be believed to have an effect and has none."""
    login = LOGINS[settings["AUTH"]]
    for key in needed(settings):
        if not settings[key]:
            yield Problem(f"AUTH={login.name} needs {key}", f"set {key} in .env; .env.example says what it is")
    for key, reason in _NO_EFFECT.items():
        if settings[key] not in ("", "false") and key not in login.takes:
            yield Problem(f"{key} has no effect with AUTH={login.name}: {reason}", f"leave {key} out")
    if settings["ALLOW_ALL"] == "true" and settings["ALLOWED_GROUPS"]:
        yield Problem(
            "ALLOW_ALL=true lets in everybody, so ALLOWED_GROUPS would restrict nobody", "leave one of the two out"
        )
    if not lets_anyone_in(settings):
        groups = " or ALLOWED_GROUPS" if "ALLOWED_GROUPS" in login.takes else ""
        yield Problem(
            f"AUTH={login.name}: nobody may log in",
            f"set ALLOW_ALL=true{groups}; or ADMIN_USERS, and let others in by name: stackgen users allow",
        )
    if login.oauth and settings["OAUTH_CALLBACK_URL"]:
        yield from _callback(settings)
    if login.name == "ldap":
        yield from _ldap(settings)


def _callback(settings: Mapping[str, str]) -> Iterator[Problem]:
    url, domain = urlsplit(settings["OAUTH_CALLBACK_URL"]), settings["DOMAIN"]
    hint = f"such as https://{domain}/hub/oauth_callback, exactly as it is registered at the provider"
    if url.hostname != domain:
        yield Problem(f"OAUTH_CALLBACK_URL leads to {url.hostname}, but DOMAIN is {domain}", hint)
    if url.scheme == "http" and settings["TLS"] != "off":
        yield Problem(f"OAUTH_CALLBACK_URL is http, but TLS={settings['TLS']} serves https", hint)
    if (url.path, url.query, url.fragment) != ("/hub/oauth_callback", "", ""):
        yield Problem("OAUTH_CALLBACK_URL does not end in /hub/oauth_callback", hint)


def _ldap(settings: Mapping[str, str]) -> Iterator[Problem]:
    searched = settings["LDAP_SEARCH_BASE"]
    if bool(searched) == bool(settings["LDAP_BIND_DN"]):
        yield Problem(
            "AUTH=ldap needs either LDAP_BIND_DN or LDAP_SEARCH_BASE" + (", not both" if searched else ""),
            "LDAP_BIND_DN if all users' DNs are alike, LDAP_SEARCH_BASE if they must be searched for",
        )
    credentials = [key for key in ("LDAP_SEARCH_USER", "LDAP_SEARCH_PASSWORD") if settings[key]]
    if len(credentials) == 1:
        yield Problem(
            f"{credentials[0]} is set alone",
            "set both LDAP_SEARCH_USER and LDAP_SEARCH_PASSWORD, or neither to search anonymously",
        )
    elif credentials and not searched:
        yield Problem(
            "LDAP_SEARCH_USER has no effect without LDAP_SEARCH_BASE", "set LDAP_SEARCH_BASE, or leave it out"
        )
    for group in filter(None, settings["ALLOWED_GROUPS"].split(";")):
        if "=" not in group:
            yield Problem(
                f"ALLOWED_GROUPS: {group} is no DN",
                "with AUTH=ldap: DNs separated by semicolons, such as cn=a,dc=edu;...",
            )
