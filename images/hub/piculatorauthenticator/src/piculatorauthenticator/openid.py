"""Logins at any OpenID Connect provider, found by its issuer: Discovery 1.0, Core 1.0, RP-Initiated Logout 1.0."""

import functools
import json
import time
from typing import Any
from urllib.parse import urljoin, urlsplit

import jwt
from jupyterhub.handlers import BaseHandler
from oauthenticator.generic import GenericOAuthenticator
from tornado import web
from tornado.httpclient import HTTPClientError
from tornado.httputil import url_concat
from traitlets import Bool, TraitError, Unicode, default, validate

from .errors import AccessEnded, Misconfigured, ProviderDown, TokenRefused
from .handlers import OpenIDLoginHandler, OpenIDLogoutHandler
from .idtoken import LEEWAY, UnknownKey, check_id_token, nonce_of
from .resilient import JSONObject, ResilientOAuth

KEYS_LIFETIME = 3600.0  # seconds; then a key that the provider withdrew is no longer trusted
REACHED_LIFETIME = 10.0  # seconds; a class that logs in together need not ask thirty times whether the provider is up
KEY_SEARCH_INTERVAL = 60.0  # seconds between two looks for a key that is not among those known
CLAIMS = "id_token_claims"  # what the checked id_token says, beside it in the token response that auth_state keeps

# What an administrator may set, and what is learned from the provider where it is not set.
LEARNED = ("authorize_url", "token_url", "userdata_url", "end_session_url", "scope", "username_claim", "basic_auth")


class NoOpenIDConnect(Misconfigured):
    """The provider works, but does not offer OpenID Connect at this address."""


class OpenIDConnectAuthenticator(ResilientOAuth, GenericOAuthenticator):
    """Any OpenID Connect provider: `issuer`, `client_id` and `client_secret` are all it needs."""

    login_handler = OpenIDLoginHandler
    logout_handler = OpenIDLogoutHandler

    issuer = Unicode(
        config=True,
        help="""
        The provider's address, exactly as its own `/.well-known/openid-configuration` gives it. https, or http on this
        machine itself.
        """,
    )
    end_session_url = Unicode(
        config=True,
        help="Where a logout at the provider begins. Default: what the provider says, if it has such a page.",
    )
    post_logout_redirect_uri = Unicode(
        None,
        allow_none=True,
        config=True,
        help="""
        Where the provider sends the browser after a logout; it must be registered there. Default: the hub's login page,
        next to `oauth_callback_url`. Empty: the provider decides.
        """,
    )
    groups_claim = Unicode(
        "groups",
        config=True,
        help="The claim that lists the user's groups, for `manage_groups`. Whoever has no such claim is in no group.",
    )
    basic_auth = Bool(
        None,
        allow_none=True,
        config=True,
        help="Whether client_id and client_secret go into a header. Default: as the provider announces.",
    )

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.document: dict[str, Any] = {}  # what discovery found; {} as long as it found nothing
        self._keys: list[dict[str, Any]] = []
        self._keys_until = self._next_search = self._reached_until = 0.0  # by time.monotonic()

    @default("login_service")
    def _login_service_default(self) -> str:
        return urlsplit(self.issuer).hostname or "OpenID Connect"

    @default("scope")
    def _scope_default(self) -> list[str]:
        return []

    @default("username_claim")
    def _username_claim_default(self) -> str:
        return ""

    @default("auth_state_groups_key")
    def _auth_state_groups_key_default(self) -> Any:
        return self._groups_of

    @validate("issuer")
    def _validate_issuer(self, proposal: Any) -> str:
        return require_https(proposal.value, "issuer")

    def _groups_of(self, auth_state: dict[str, Any]) -> set[str]:
        claim = auth_state[self.user_auth_state_key].get(self.groups_claim) or []
        groups = [claim] if isinstance(claim, str) else claim
        if not isinstance(groups, list) or not all(isinstance(group, str) for group in groups):
            self.log.error("The claim %s is not a list of names of groups", self.groups_claim)
            return set()
        return set(groups) - {""}

    # --- discovery

    @property
    def openid(self) -> bool:
        """Whether the provider is known to offer OpenID Connect."""
        return bool(self.document)

    async def discover(self) -> None:
        """Learn from the provider what is not configured. Done before it is needed first, so that the hub starts
        while the provider is down; tried again until it worked.

        Raises ProviderDown, NoOpenIDConnect or Misconfigured.
        """
        if not self.openid:
            document = await self._read_document()
            self.learn(self._learned_from(document))
            self.document = document
            self._reached_until = time.monotonic() + REACHED_LIFETIME

    def learn(self, found: dict[str, Any]) -> None:
        """Set what the administrator has not set."""
        for name, configured in self.configured.items():
            setattr(self, name, found[name] if configured in (None, "", []) else configured)

    @functools.cached_property
    def configured(self) -> dict[str, Any]:
        """What the administrator has set, kept before anything is learned."""
        return {name: getattr(self, name) for name in LEARNED}

    @property
    def discovery_url(self) -> str:
        """Where the provider describes itself."""
        return f"{self.issuer.rstrip('/')}/.well-known/openid-configuration"

    @property
    def home_url(self) -> str:
        """A page that is there whenever the provider is up."""
        return self.discovery_url

    async def reach(self) -> None:
        """Raise ProviderDown if the provider does not answer: a browser that is sent there sees what it may see."""
        if time.monotonic() >= self._reached_until:
            await self.httpfetch(self.home_url, "reaching the provider", parse_json=False, raise_error=False)
            self._reached_until = time.monotonic() + REACHED_LIFETIME

    async def _read_document(self) -> dict[str, Any]:
        if not self.issuer:
            raise Misconfigured(f"{type(self).__name__} is not told the address of the provider.")
        url = self.discovery_url
        try:
            response = await self.httpfetch(url, "OpenID Connect discovery", parse_json=False, follow_redirects=False)
        except HTTPClientError as error:
            if error.code == 404:
                raise NoOpenIDConnect(f"There is no {url}") from None
            raise Misconfigured(f"{url} answers {error.code}, but must be the provider's settings.") from None
        try:
            document = json.loads(response.body)
        except ValueError:
            raise NoOpenIDConnect(f"{url} is not JSON") from None
        if not isinstance(document, dict):
            raise Misconfigured(f"{url} is not a JSON object.")
        issuer = document.get("issuer")
        if issuer != self.issuer:
            message = f"{url} is of the issuer {issuer}, but this hub is set up for {self.issuer}."
            if str(issuer).rstrip("/") == self.issuer.rstrip("/"):
                message += " They differ in the slash at the end."
            raise Misconfigured(message)
        return document

    def _learned_from(self, document: dict[str, Any]) -> dict[str, Any]:
        """Values for LEARNED. Raises Misconfigured."""
        endpoints = {
            name: document.get(name) or ""
            for name in (
                "authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint", "end_session_endpoint",
            )
        }  # fmt: skip
        for name, url in endpoints.items():
            if not url and name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
                raise Misconfigured(f"{self.issuer} does not tell its {name}.")
            if url and self.issuer.startswith("https:") and not url.startswith("https:"):
                raise Misconfigured(f"{self.issuer} gives a {name} that is not https.")
        # what a provider means that announces nothing: Discovery 1.0, section 3
        methods = document.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        scope = ["openid", "profile", "email"]
        if self.manage_groups and self.groups_claim in (document.get("scopes_supported") or []):
            scope.append(self.groups_claim)
        return {
            "authorize_url": endpoints["authorization_endpoint"],
            "token_url": endpoints["token_endpoint"],
            "userdata_url": "" if self.userdata_from_id_token else endpoints["userinfo_endpoint"],
            "end_session_url": endpoints["end_session_endpoint"],
            "scope": scope,
            "username_claim": "preferred_username",
            "basic_auth": "client_secret_basic" in methods,
        }

    # --- tokens

    async def get_token_info(self, handler: BaseHandler | None, params: dict[str, Any]) -> dict[str, Any]:
        """As ResilientOAuth's, with a checked id_token; an answer to a refresh token need not have one."""
        await self.discover()
        if self.openid:
            # without the keys an answer could not be checked, but the code or refresh token would be used up
            await self._signing_keys(unknown=False)
        token_info = await super().get_token_info(handler, params)
        login = params["grant_type"] == "authorization_code"
        if self.openid and (login or token_info.get("id_token")):
            nonce = nonce_of(handler.get_state_cookie()) if login else None
            token_info[CLAIMS] = await self._checked(token_info.get("id_token"), nonce)
        return token_info

    async def _checked(self, id_token: Any, nonce: str | None) -> dict[str, Any]:
        try:
            if not isinstance(id_token, str):
                raise jwt.InvalidTokenError("there is no id_token")
            for unknown in (False, True):
                try:
                    return check_id_token(
                        id_token,
                        await self._signing_keys(unknown=unknown),
                        issuer=self.issuer,
                        client_id=self.client_id,
                        algorithms=self.document.get("id_token_signing_alg_values_supported") or ["RS256"],
                        nonce=nonce,
                    )
                except UnknownKey:
                    if unknown:
                        raise
        except jwt.PyJWTError as error:
            self.log.error("Refused an id_token of %s: %s", self.issuer, error)
            raise web.HTTPError(
                403, f"What {self.login_service} says about you could not be verified: {error}. Please log in again."
            ) from None

    async def _signing_keys(self, *, unknown: bool) -> list[dict[str, Any]]:
        """The provider's keys. `unknown`: a key is not among those known, so the provider may have new ones."""
        now = time.monotonic()
        if unknown and now >= self._next_search:
            self._next_search = now + KEY_SEARCH_INTERVAL
        elif now < self._keys_until:
            return self._keys
        jwks = await self.httpfetch(self.document["jwks_uri"], "reading the keys", follow_redirects=False)
        keys = jwks.get("keys") if isinstance(jwks, dict) else None
        if not isinstance(keys, list):
            self.log.error("%s is not a JSON Web Key Set", self.document["jwks_uri"])
            raise ProviderDown(self.login_service)
        self._keys = [key for key in keys if isinstance(key, dict)]
        self._keys_until = now + KEYS_LIFETIME
        return self._keys

    async def token_to_user(self, token_info: dict[str, Any]) -> dict[str, Any]:
        """The claims of userinfo, and those that only the id_token has. Raises TokenRefused or AccessEnded."""
        await self.discover()
        claims = token_info.get(CLAIMS, {})
        if self.openid and not self.userdata_url:
            if time.time() > (token_info.get("expires_at") or claims.get("exp", 0)) + LEEWAY:
                raise TokenRefused("Your login has expired. Please log in again.", final=False)
            return JSONObject(claims)
        user_info = await super().token_to_user(token_info)
        if claims and user_info.get("sub") != claims["sub"]:
            raise AccessEnded(f"{self.login_service} answered about somebody else.")
        # At a refresh the id_token is old. A claim that userinfo gave once, and no longer gives, must not come back.
        token_info[CLAIMS] = {key: claims[key] for key in claims if key == "sub" or key not in user_info}
        return JSONObject({**claims, **user_info})

    # --- logout

    async def end_session_page(self, handler: BaseHandler, id_token: str | None) -> str | None:
        """Where to send a browser that logs out, or None if the provider has no such page or is down."""
        try:
            await self.discover()
        except web.HTTPError as error:
            self.log.warning("Logout at the hub only: %s", error.log_message)
        if not self.end_session_url:
            return None
        back = self.post_logout_redirect_uri
        if back is None:
            back = urljoin(self.get_callback_url(handler), "login")
        parameters = {"id_token_hint": id_token, "client_id": self.client_id, "post_logout_redirect_uri": back}
        return url_concat(self.end_session_url, {name: value for name, value in parameters.items() if value})


def require_https(url: str, name: str) -> str:
    """`url`, or TraitError if others could read what is sent there."""
    parts = urlsplit(url)
    here = parts.scheme == "http" and parts.hostname in ("localhost", "127.0.0.1", "::1")
    if url and parts.scheme != "https" and not here:
        raise TraitError(f"{name} must be an https address, not {url!r}")
    return url
