"""Logins at a provider by OAuth: the classes of oauthenticator and piculatorauthenticator, with stackgen's rules."""

import time
from collections.abc import Mapping
from typing import Any, ClassVar

from oauthenticator.azuread import AzureAdOAuthenticator
from oauthenticator.cilogon import CILogonOAuthenticator
from oauthenticator.github import GitHubOAuthenticator
from oauthenticator.gitlab import GitLabOAuthenticator
from oauthenticator.google import GoogleOAuthenticator
from oauthenticator.oauth2 import OAuthenticator
from piculatorauthenticator import OpenIDConnectAuthenticator, PiculatorOAuthenticator, ResilientOAuth, TokenRefused
from tornado import web
from traitlets import Unicode

from stackgen_hub import people
from stackgen_hub.authenticator import BoundAuthenticator


class ProviderAuthenticator(BoundAuthenticator, ResilientOAuth, OAuthenticator):
    """Mixed in before a provider's class: a person is known by what the provider calls their subject."""

    provider = Unicode(config=True, help="Whose subjects these are: AUTH and the provider's address.")
    kinds: ClassVar[tuple[str, ...]] = ("sub",)  # the claims that the provider never gives to anybody else
    email_claim: ClassVar[str] = ""  # the one that says whether an address is known to be the person's, if there is one

    def subjects(self, info: Mapping[str, Any]) -> people.Subjects:
        """What the provider knows a person by, from auth_state or user info."""
        info = info.get(self.user_auth_state_key, info)
        return {kind: str(info[kind]) for kind in self.kinds if info.get(kind)}

    def user_info_to_username(self, user_info: dict) -> str:
        login = super().user_info_to_username(user_info)
        # else whoever writes somebody's address into a profile would be that person
        by_email = self.email_claim and self.username_claim == "email"
        if by_email and str(user_info.get(self.email_claim)).lower() != "true":
            address = user_info["email"]
            raise web.HTTPError(403, f"{self.login_service} does not say that {address} was verified as your address.")
        return self.user_of(self.subjects(user_info), login)


class PiculatorAuthenticator(ProviderAuthenticator, PiculatorOAuthenticator):
    """AUTH=piculator: `id` if it has no OpenID Connect, `sub` and perhaps `id` if it has."""

    kinds = ("sub", "id")
    email_claim = "email_verified"


class OidcAuthenticator(ProviderAuthenticator, OpenIDConnectAuthenticator):
    """AUTH=oidc."""

    email_claim = "email_verified"


class MembersByLogin(GitHubOAuthenticator):
    """Upstream asks GitHub for the user of the hub, who may have another name there: by an alias, or by now."""

    async def check_allowed(self, username: str, auth_model: dict) -> bool:
        login = auth_model["auth_state"][self.user_auth_state_key]["login"]
        return username in self.allowed_users or await super().check_allowed(login, auth_model)


class GitHubAuthenticator(ProviderAuthenticator, MembersByLogin):
    """AUTH=github."""

    kinds = ("id",)


class GitLabAuthenticator(ProviderAuthenticator, GitLabOAuthenticator):
    """AUTH=gitlab."""

    kinds = ("id",)

    async def httpfetch(self, url: str, label: str = "fetching", **kwargs: Any) -> Any:
        """Upstream escapes the slash of a group within a group twice (jupyterhub/oauthenticator#423)."""
        return await super().httpfetch(url.replace("%252F", "%2F"), label, **kwargs)


class GoogleAuthenticator(ProviderAuthenticator, GoogleOAuthenticator):
    """AUTH=google."""

    kinds = ("id",)
    email_claim = "verified_email"


class AzureAdAuthenticator(ProviderAuthenticator, AzureAdOAuthenticator):
    """AUTH=azuread."""

    kinds = ("oid",)  # Microsoft's `sub` is another one in each application

    async def token_to_user(self, token_info: dict) -> dict:
        """What the id_token says. Upstream asks nobody at a refresh either, so that holds only until it expires."""
        claims = await super().token_to_user(token_info)
        if time.time() >= claims.get("exp", 0):
            raise TokenRefused("Your login has expired. Please log in again.", final=False)
        return claims

    def user_info_to_username(self, user_info: dict) -> str:
        if str(user_info.get("tid")).lower() != self.tenant_id.lower():
            raise web.HTTPError(403, "Your account belongs to an organization that may not use this hub.")
        return super().user_info_to_username(user_info)


class CILogonAuthenticator(ProviderAuthenticator, CILogonOAuthenticator):
    """AUTH=cilogon."""
