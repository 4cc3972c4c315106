"""A mixin for oauthenticator's classes: what happens when the provider is down, or withdraws somebody's access."""

import asyncio
import json
import re
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from jupyterhub.apihandlers.users import ActivityAPIHandler
from jupyterhub.handlers import BaseHandler
from jupyterhub.user import User
from jupyterhub.utils import maybe_future
from oauthenticator.oauth2 import OAuthenticator
from sqlalchemy import inspect
from tornado import web
from tornado.httpclient import HTTPClientError, HTTPRequest, HTTPResponse

from .access import end_access
from .errors import AccessEnded, ProviderDown, TokenRefused
from .handlers import DiscreetCallbackHandler

CONNECT_TIMEOUT = 5.0  # seconds
REQUEST_TIMEOUT = 15.0  # seconds, with connecting


class JSONObject(dict):
    """A JSON object from the provider that prints its keys only: the values may be secrets or personal data."""

    def __repr__(self) -> str:
        return f"<{', '.join(sorted(self))}>"


class ResilientOAuth(OAuthenticator):
    """Put before any class of oauthenticator: `class Mine(ResilientOAuth, GitHubOAuthenticator)`.

    - While the provider is down a login shows a page that says so, and whoever is logged in stays logged in.
    - Whoever may no longer log in loses access at the next refresh (`auth_refresh_age`), with all servers.
    - Neither tokens nor what the provider says of people get into the log.
    """

    callback_handler = DiscreetCallbackHandler

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._refreshing: dict[int, asyncio.Task] = {}

    # --- asking the provider

    async def httpfetch(self, url: str, label: str = "fetching", **kwargs: Any) -> Any:
        """As oauthenticator's, with timeouts; and nothing that holds a secret is sent on to where a redirect points."""
        defaults = {"connect_timeout": CONNECT_TIMEOUT, "request_timeout": REQUEST_TIMEOUT}
        if kwargs.get("method") == "POST":
            defaults["follow_redirects"] = False
        return await super().httpfetch(url, label, **{**defaults, **self.http_request_kwargs, **kwargs})

    async def fetch(self, req: HTTPRequest, label: str = "fetching", parse_json: bool = True, **kwargs: Any) -> Any:
        """As oauthenticator's, but raises ProviderDown where there is no answer, or one that says nothing.

        Bodies are not logged: an error page may repeat the token or code that was sent.
        """
        raise_error = kwargs.pop("raise_error", True)
        where = f"{label}: {req.method} {urlunsplit(urlsplit(req.url)._replace(query='', fragment=''))}"
        try:
            response = await self.http_client.fetch(req, raise_error=False, **kwargs)
        except (HTTPClientError, OSError) as error:  # timeouts; refused connections, unknown hosts, TLS
            self.log.error("%s failed: %s", where, error)
            raise ProviderDown(self.login_service) from None
        if _cannot_answer(response):
            self.log.error("%s answered %d", where, response.code)
            raise ProviderDown(self.login_service)
        if raise_error and response.error:
            self.log.warning("%s answered %d %s", where, response.code, error_name(response))
            response.rethrow()
        if not parse_json:
            return response
        try:
            return json.loads(response.body, object_hook=JSONObject) if response.body else None
        except ValueError:
            self.log.error("%s answered %d, but not with JSON", where, response.code)
            raise ProviderDown(self.login_service) from None

    async def get_token_info(self, handler: BaseHandler | None, params: dict[str, Any]) -> dict[str, Any]:
        """As oauthenticator's, plus `expires_at` (seconds since the epoch, or None). Raises TokenRefused."""
        try:
            token_info = await super().get_token_info(handler, params)
        except ProviderDown:
            raise
        except HTTPClientError as error:
            raise self._token_refused(error.code, error_name(error.response)) from None
        except (web.HTTPError, TypeError):  # "200 OK" with an error in it, as GitHub answers, or no JSON object at all
            raise self._token_refused(200, "") from None
        token_info.setdefault("token_type", "Bearer")
        token_info["expires_at"] = _expires_at(token_info)
        return token_info

    def _token_refused(self, status: int, name: str) -> TokenRefused:
        if status == 401 or name in ("invalid_client", "unauthorized_client"):
            message = f"{self.login_service} does not accept this hub ({name or status})."
            self.log.error("%s Are client_id and client_secret right?", message)
            return TokenRefused(f"{message} Please tell the administrator of this hub.", final=False)
        message = "The login took too long or was used before. Please log in again."
        return TokenRefused(message, final=name == "invalid_grant")

    async def token_to_user(self, token_info: dict[str, Any]) -> dict[str, Any]:
        """As oauthenticator's. Raises TokenRefused."""
        try:
            user_info = await super().token_to_user(token_info)
        except HTTPClientError as error:
            message = f"{self.login_service} did not tell who you are (it answered {error.code}). Please log in again."
            raise TokenRefused(message, final=error.code in (401, 403)) from None
        if not isinstance(user_info, dict):
            self.log.error("%s did not answer with a JSON object about the user", self.login_service)
            raise ProviderDown(self.login_service)
        return user_info

    def user_info_to_username(self, user_info: dict[str, Any]) -> str:
        try:
            name = super().user_info_to_username(user_info)
        except ValueError:
            name = None
        if not isinstance(name, str | int):
            raise web.HTTPError(
                403, f"{self.login_service} did not tell your user name. Please tell the administrator of this hub."
            )
        return str(name)

    def subject(self, info: Mapping[str, Any]) -> str | None:
        """What the provider never gives to anybody else, from auth_state or user info: `sub`, or else `id`."""
        info = info.get(self.user_auth_state_key, info)
        found = info.get("sub") or info.get("id")
        return str(found) if found else None

    # --- asking again

    async def refresh_user(self, user: User, handler: BaseHandler | None = None) -> bool | dict[str, Any]:
        """Ask the provider again; JupyterHub does so at a request when `auth_refresh_age` seconds have passed.

        Requests come in parallel, but refresh tokens often work only once, and a provider that sees one a second time
        may take it for theft. So there is one refresh at a time for each user, and all requests get its result.

        Returns the new auth model; True if the provider is down; False if the user must log in again. Raises
        AccessEnded to stop a request that is not the user's own browser's, and which JupyterHub would let go on.
        """
        if not self.enable_auth_state:
            return True
        refresh = self._refreshing.get(user.id)
        if refresh is None:
            refresh = self._refreshing[user.id] = asyncio.create_task(self._refresh(user, handler))
            refresh.add_done_callback(lambda _: self._refreshing.pop(user.id))
        try:
            refreshed = await asyncio.shield(refresh)
        except AccessEnded as ended:
            if ended.everything and handler and handler.current_user is not user:
                raise
            refreshed = False
        if not refreshed and handler and self._token_rests(user, handler):
            raise AccessEnded("Please log in again.")
        return refreshed

    def _token_rests(self, user: User, handler: BaseHandler) -> bool:
        """Whether a request comes by a token that is void, or of no use until its owner, this user, has logged in.

        A server may report that somebody works with it, or the culler would stop what it computes. Whoever never
        logged in has a token from an admin, and nothing that the provider could be asked about.
        """
        token = handler.get_token()
        if token is None or token.user_id != user.id:
            return False
        if inspect(token).was_deleted:
            return True
        return user.encrypted_auth_state is not None and not isinstance(handler, ActivityAPIHandler)

    async def access_ended(self, user: User) -> None:
        """Called when somebody who was logged in may no longer use the hub. Subclasses may do something else."""
        await end_access(user)

    async def _refresh(self, user: User, handler: BaseHandler | None) -> bool | dict[str, Any]:
        auth_state = await user.get_auth_state()
        if self.refresh_user_hook is not None:
            refreshed = await self._call_refresh_user_hook(user, auth_state)
            if refreshed is not None:
                return refreshed
        if not (auth_state and auth_state.get("token_response")):  # or it is what another login left
            self.log.info("Nothing is known of the login of %s, who must log in again", user.name)
            return False
        try:
            auth_model = await self._ask_again(user, auth_state, handler)
            if auth_model and not await self._still_allowed(auth_model):
                raise AccessEnded("You may no longer use this hub.")
        except AccessEnded as ended:
            self.log.warning("%s loses access: %s", user.name, ended.log_message)
            if ended.everything:
                await self.access_ended(user)
            else:
                await end_access(user, servers=False)
            raise
        except web.HTTPError as error:
            if error.status_code >= 500:
                self.log.warning("%s could not be refreshed, and stays logged in: %s", user.name, error.log_message)
                return True
            self.log.info("%s must log in again: %s", user.name, error.log_message)
            return False
        except HTTPClientError as error:
            self.log.info("%s must log in again: %s", user.name, error)
            return False
        return auth_model or False

    async def _ask_again(
        self, user: User, auth_state: dict[str, Any], handler: BaseHandler | None
    ) -> dict[str, Any] | None:
        """What the provider says of a user now; None if the tokens are of no more use, which says nothing of the user.

        Raises AccessEnded if the provider refuses them although they should work.
        """
        gone = f"{self.login_service} no longer accepts your login."
        tokens = auth_state["token_response"]
        refresh_token = auth_state.get("refresh_token")
        expires_at = tokens.get("expires_at")
        expired = expires_at is not None and time.time() >= expires_at
        revoked = False
        if not (expired and refresh_token):
            try:
                return await self._model_of(user, auth_state, tokens)
            except TokenRefused as refused:
                revoked = refused.final and not expired
        if not refresh_token:
            if revoked:
                raise AccessEnded(gone, everything=expires_at is not None)
            return None
        try:
            tokens = await self._new_tokens(user, auth_state, handler)
        except TokenRefused as refused:
            if refused.final:
                raise AccessEnded(gone, everything=revoked and expires_at is not None) from None
            return None
        try:
            return await self._model_of(user, auth_state, tokens)
        except TokenRefused as refused:
            if refused.final:
                raise AccessEnded(gone) from None
            return None

    async def _new_tokens(self, user: User, auth_state: dict[str, Any], handler: BaseHandler | None) -> dict[str, Any]:
        """Exchange the refresh token, and keep the answer at once: the old tokens may be void from now on."""
        params = self.build_refresh_token_request_params(auth_state["refresh_token"])
        answer = await self.get_token_info(handler, params)
        tokens = {**auth_state["token_response"], "refresh_token": auth_state["refresh_token"], **answer}
        renewed = {key: tokens.get(key) for key in ("access_token", "refresh_token", "id_token")}
        await user.save_auth_state({**auth_state, **renewed, "token_response": tokens})
        return tokens

    async def _model_of(self, user: User, auth_state: dict[str, Any], tokens: dict[str, Any]) -> dict[str, Any]:
        """The auth model by these tokens. Raises AccessEnded if it is about somebody else."""
        auth_model = await self._token_to_auth_model(tokens)
        before = auth_state.get(self.user_auth_state_key) or {}
        now = auth_model["auth_state"][self.user_auth_state_key]
        # a provider may give both, so each is compared with itself
        changed = any(before.get(key) and now.get(key) and before[key] != now[key] for key in ("sub", "id"))
        if changed or self.normalize_username(auth_model["name"]) != user.name:
            raise AccessEnded(f"{self.login_service} knows you as somebody else now.")
        return auth_model

    async def _still_allowed(self, auth_model: dict[str, Any]) -> bool:
        """What JupyterHub asks at a login, but not at a refresh."""
        name = auth_model["name"]
        try:
            if not await maybe_future(self.check_blocked_users(name, auth_model)):
                return False
            return self.allow_all or bool(await maybe_future(self.check_allowed(name, auth_model)))
        except web.HTTPError as error:
            if error.status_code >= 500:
                raise
            return False


def error_name(response: HTTPResponse | None) -> str:
    """OAuth's name of an error, such as invalid_grant, or "" where there is none (RFC 6749, section 5.2)."""
    try:
        name = json.loads(response.body)["error"]
    except (AttributeError, KeyError, TypeError, ValueError):
        return ""
    return name if isinstance(name, str) and re.fullmatch("[a-z_]{1,40}", name) else ""


def _cannot_answer(response: HTTPResponse) -> bool:
    """Whether the provider only says that it is busy or broken. GitHub says by 403 that it was asked too often."""
    too_often = "Retry-After" in response.headers or response.headers.get("X-RateLimit-Remaining") == "0"
    return response.code >= 500 or response.code in (408, 429) or (response.code == 403 and too_often)


def _expires_at(token_info: dict[str, Any]) -> int | None:
    try:
        lifetime = int(token_info["expires_in"])
    except (KeyError, TypeError, ValueError):
        return None
    return int(time.time()) + lifetime if lifetime > 0 else None
