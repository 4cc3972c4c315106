"""Logins at a provider by OAuth: the classes of oauthenticator and piculatorauthenticator, with stackgen's rules."""

from collections.abc import Mapping
from typing import Any, ClassVar

from oauthenticator.azuread import AzureAdOAuthenticator
from oauthenticator.cilogon import CILogonOAuthenticator
from oauthenticator.github import GitHubOAuthenticator
from oauthenticator.gitlab import GitLabOAuthenticator
from oauthenticator.google import GoogleOAuthenticator
from oauthenticator.oauth2 import OAuthenticator
from piculatorauthenticator import OpenIDConnectAuthenticator, PiculatorOAuthenticator, ResilientOAuth
from tornado import web
from traitlets import Unicode

from stackgen_hub import people
from stackgen_hub.authenticator import StackAuthenticator
from stackgen_hub.names import user_name


class ProviderAuthenticator(StackAuthenticator, ResilientOAuth, OAuthenticator):
    """Mixed in before a provider's class: a person is known by what the provider calls their subject, not by a name."""

    provider = Unicode(config=True, help="Whose subjects these are: AUTH and the provider's address.")
    kinds: ClassVar[tuple[str, ...]] = ("sub",)  # the claims that the provider never gives to anybody else

    def subjects(self, info: Mapping[str, Any]) -> people.Subjects:
        """What the provider knows a person by, from auth_state or user info."""
        info = info.get(self.user_auth_state_key, info)
        return {kind: str(info[kind]) for kind in self.kinds if info.get(kind)}

    def user_info_to_username(self, user_info: dict) -> str:
        login = super().user_info_to_username(user_info)
        try:
            return people.user_of(self.db, self.provider, self.subjects(user_info), user_name(login))
        except (ValueError, people.Taken) as refused:
            raise web.HTTPError(403, str(refused)) from None

    async def run_post_auth_hook(self, handler, auth_model: dict) -> dict:
        """At a login that was allowed: from now on this person is this user."""
        try:
            people.bind(self.db, self.provider, self.subjects(auth_model["auth_state"]), auth_model["name"])
        except people.Taken as taken:
            raise web.HTTPError(403, str(taken)) from None
        return await super().run_post_auth_hook(handler, auth_model)


class PiculatorAuthenticator(ProviderAuthenticator, PiculatorOAuthenticator):
    """AUTH=piculator: `id` if it has no OpenID Connect, `sub` and perhaps `id` if it has."""

    kinds = ("sub", "id")


class OidcAuthenticator(ProviderAuthenticator, OpenIDConnectAuthenticator):
    """AUTH=oidc."""


class GitHubAuthenticator(ProviderAuthenticator, GitHubOAuthenticator):
    """AUTH=github."""

    kinds = ("id",)


class GitLabAuthenticator(ProviderAuthenticator, GitLabOAuthenticator):
    """AUTH=gitlab."""

    kinds = ("id",)


class GoogleAuthenticator(ProviderAuthenticator, GoogleOAuthenticator):
    """AUTH=google."""

    kinds = ("id",)


class AzureAdAuthenticator(ProviderAuthenticator, AzureAdOAuthenticator):
    """AUTH=azuread."""

    kinds = ("oid",)  # Microsoft's `sub` is another one in each application


class CILogonAuthenticator(ProviderAuthenticator, CILogonOAuthenticator):
    """AUTH=cilogon."""
