"""Logins at a provider by OAuth: the classes of oauthenticator and piculatorauthenticator, with stackgen's rules."""

from collections.abc import Mapping
from typing import Any

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

    def user_info_to_username(self, user_info: dict) -> str:
        login = super().user_info_to_username(user_info)
        try:
            return people.user_of(self.db, self.provider, self.subject(user_info), user_name(login))
        except (ValueError, people.Taken) as refused:
            raise web.HTTPError(403, str(refused)) from None

    async def run_post_auth_hook(self, handler, auth_model: dict) -> dict:
        """At a login that was allowed: from now on this person is this user."""
        subject = self.subject(auth_model["auth_state"])
        if subject is not None:
            try:
                people.bind(self.db, self.provider, subject, auth_model["name"])
            except people.Taken as taken:
                raise web.HTTPError(403, str(taken)) from None
        return await super().run_post_auth_hook(handler, auth_model)


class PiculatorAuthenticator(ProviderAuthenticator, PiculatorOAuthenticator):
    """AUTH=piculator."""


class OidcAuthenticator(ProviderAuthenticator, OpenIDConnectAuthenticator):
    """AUTH=oidc."""


class GitHubAuthenticator(ProviderAuthenticator, GitHubOAuthenticator):
    """AUTH=github."""


class GitLabAuthenticator(ProviderAuthenticator, GitLabOAuthenticator):
    """AUTH=gitlab."""


class GoogleAuthenticator(ProviderAuthenticator, GoogleOAuthenticator):
    """AUTH=google."""


class AzureAdAuthenticator(ProviderAuthenticator, AzureAdOAuthenticator):
    """AUTH=azuread."""

    def subject(self, info: Mapping[str, Any]) -> str | None:
        """The person's `oid`: Microsoft's `sub` is another one in each application."""
        return info.get(self.user_auth_state_key, info).get("oid")


class CILogonAuthenticator(ProviderAuthenticator, CILogonOAuthenticator):
    """AUTH=cilogon."""
