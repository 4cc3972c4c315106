"""Logins at Piculator, an account service: by OpenID Connect if it offers that, else by OAuth 2.0."""

import os
import time
from typing import Any
from urllib.parse import urljoin

from traitlets import Unicode, default, validate

from .openid import NoOpenIDConnect, OpenIDConnectAuthenticator, require_https

BARE_LIFETIME = 300.0  # seconds; then Piculator is asked again whether it offers OpenID Connect


class PiculatorOAuthenticator(OpenIDConnectAuthenticator):
    """Piculator's unified login: `piculator_url`, `client_id` and `client_secret` are all it needs.

    Where there is no OpenID Connect at `piculator_url`, the addresses are `/oauth/authorize`, `/oauth/token` and
    `/oauth/userinfo` there. `authorize_url`, `token_url`, `userdata_url`, `end_session_url` and (for OAuth 2.0)
    `logout_redirect_url` override what is found.
    """

    piculator_url = Unicode(
        config=True,
        help="Piculator's address, for OpenID Connect exactly as it calls itself. Default: $PICULATOR_URL.",
    )

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._bare_until = 0.0  # by time.monotonic()

    @default("piculator_url")
    def _piculator_url_default(self) -> str:
        return os.environ.get("PICULATOR_URL", "")

    @validate("piculator_url")
    def _validate_piculator_url(self, proposal: Any) -> str:
        return require_https(proposal.value, "piculator_url")

    @default("issuer")
    def _issuer_default(self) -> str:
        return self.piculator_url

    @default("login_service")
    def _login_service_default(self) -> str:
        return "Piculator"

    @property
    def home_url(self) -> str:
        return super().home_url if self.openid else urljoin(self.authorize_url, "/")

    async def discover(self) -> None:
        """As OpenIDConnectAuthenticator's, but a Piculator without OpenID Connect is one with OAuth 2.0.

        Only "404 Not Found", or a page that is no JSON, means that: a Piculator that is down may offer OpenID Connect.
        """
        if time.monotonic() < self._bare_until:
            return
        endpoints = [self.configured[name] for name in ("authorize_url", "token_url", "userdata_url")]
        try:
            if not all(endpoints):
                await super().discover()
                return
        except NoOpenIDConnect as error:
            self.log.info("%s: so Piculator offers OAuth 2.0 only", error.log_message)
        self._bare_until = time.monotonic() + BARE_LIFETIME
        address = self.piculator_url.rstrip("/")
        self.learn(
            {
                "authorize_url": f"{address}/oauth/authorize",
                "token_url": f"{address}/oauth/token",
                "userdata_url": f"{address}/oauth/userinfo",
                "end_session_url": "",
                "scope": ["profile"],
                "username_claim": "username",
                "basic_auth": False,
            }
        )

    def check_allow_config(self) -> None:
        """Called by JupyterHub at its start."""
        if self.any_allow_config or self.admin_users or self.admin_groups:
            return
        self.log.error(
            "Nobody can log in: no rule lets anybody in. Set allow_all, allowed_users, or manage_groups and "
            "allowed_groups of PiculatorOAuthenticator."
        )
