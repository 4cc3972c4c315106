"""The pages of the hub where a login at a provider begins and ends."""

from typing import Any

from oauthenticator.oauth2 import OAuthCallbackHandler, OAuthLoginHandler, OAuthLogoutHandler
from tornado import web

from .access import end_sessions
from .idtoken import nonce_of


class DiscreetCallbackHandler(OAuthCallbackHandler):
    """Where the browser comes back to."""

    def log_exception(self, typ: type | None, value: BaseException | None, tb: Any) -> None:
        """As tornado's, but without the query: a code that could not be used is still good for something."""
        where = f"{self.request.method} {self.request.path}"
        if isinstance(value, web.HTTPError):
            self.log.warning("%s: %s", where, value)
        else:
            self.log.error("Uncaught exception at %s", where, exc_info=(typ, value, tb))


class OpenIDLoginHandler(OAuthLoginHandler):
    """Sends the browser to the provider."""

    async def get(self) -> None:
        await self.authenticator.discover()
        await self.authenticator.reach()
        super().get()

    def authorize_redirect(self, *, scope: list[str], extra_params: dict[str, Any], **kwargs: Any) -> None:
        if self.authenticator.openid:
            scope = scope if "openid" in scope else ["openid", *scope]
            extra_params = {**extra_params, "nonce": nonce_of(extra_params["state"])}
        super().authorize_redirect(scope=scope, extra_params=extra_params, **kwargs)


class OpenIDLogoutHandler(OAuthLogoutHandler):
    """Logs out of the hub, and then at the provider: OpenID Connect RP-Initiated Logout 1.0."""

    provider_page: str | None = None

    async def handle_logout(self) -> None:
        await super().handle_logout()
        user = self.get_current_user_cookie()
        auth_state = (await user.get_auth_state() if user else None) or {}
        self.provider_page = await self.authenticator.end_session_page(self, auth_state.get("id_token"))
        if user and (self.provider_page or self.authenticator.logout_redirect_url):
            # Providers end the tokens of a session with it. That says nothing of the user's access, so these must not
            # be tried again; nor may other browsers go on without anybody asking the provider any more. Not None: that
            # would be somebody who never logged in.
            end_sessions(user)
            await user.save_auth_state({})

    async def render_logout_page(self) -> None:
        if self.provider_page:
            self.redirect(self.provider_page)
        else:
            await super().render_logout_page()
