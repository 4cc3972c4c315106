"""A provider to log in at: OAuth 2.0 or OpenID Connect, really over HTTP on loopback, with faults on order."""

import base64
import hashlib
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm
from tornado import web
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets

CLIENT_ID = "the-hub"
CLIENT_SECRET = secrets.token_urlsafe()
PROFILE = {"sub": "4711", "preferred_username": "Ada", "groups": ["students"], "email": "ada@example.edu"}


class Key:
    """A key pair that signs id_tokens."""

    def __init__(self, kid: str) -> None:
        self.kid = kid
        self.private = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def public(self) -> dict[str, Any]:
        """As it stands in the JSON Web Key Set."""
        return {**RSAAlgorithm.to_jwk(self.private.public_key(), as_dict=True), "kid": self.kid, "use": "sig"}

    def sign(self, claims: dict[str, Any]) -> str:
        return jwt.encode(claims, self.private, algorithm="RS256", headers={"kid": self.kid})


KEY = Key("first")  # one for all tests, because making one takes its time


@dataclass
class Service:
    """The provider's data, and what a test wants it to do. One user is logged in there: whose profile this is."""

    profile: dict[str, Any] = field(default_factory=lambda: dict(PROFILE))
    openid: bool = True
    keys: list[Key] = field(default_factory=lambda: [KEY])
    lifetime: int | None = 3600  # seconds, of access tokens
    refresh_tokens: bool = True
    endpoints: dict[str, str] = field(default_factory=dict)  # paths in the place of usual ones
    document: dict[str, Any] = field(default_factory=dict)  # what the discovery document says otherwise
    sign: Callable[[dict[str, Any]], str] = KEY.sign
    claims: dict[str, Any] = field(default_factory=dict)  # what the next id_tokens say otherwise; None leaves one out
    userinfo: dict[str, Any] = field(default_factory=dict)  # what userinfo says otherwise
    answers: dict[str, tuple[int, str]] = field(default_factory=dict)  # what a path answers instead
    asked: list[str] = field(default_factory=list)  # the paths of all requests
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    access_tokens: dict[str, float] = field(default_factory=dict)  # with the time when they end
    valid_refresh_tokens: set[str] = field(default_factory=set)
    secrets: set[str] = field(default_factory=lambda: {CLIENT_SECRET})  # what must be in no log
    url: str = ""
    _server: HTTPServer | None = None
    _port: int = 0

    async def start(self) -> None:
        """Listen, on the same port as before if it was stopped."""
        sockets = bind_sockets(self._port, "127.0.0.1")
        self._port = sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}"
        handlers = [
            (r"/\.well-known/openid-configuration", Discovery), (r"/jwks", Keys), (r"/oauth/authorize", Authorize),
            (r"/oauth/token", Token), (r"/oauth/userinfo", UserInfo), (r".*", Missing),
        ]  # fmt: skip
        self._server = HTTPServer(
            web.Application(
                [(path, handler, {"service": self}) for path, handler in handlers],
                log_function=lambda _: None,  # the hub's log is read by tests, and this would get into it
            )
        )
        self._server.add_sockets(sockets)

    async def stop(self) -> None:
        """From now on connections are refused."""
        assert self._server
        self._server.stop()
        await self._server.close_all_connections()

    def withdraw_tokens(self) -> None:
        """What a provider does with an account that is gone."""
        self.access_tokens.clear()
        self.valid_refresh_tokens.clear()

    def forget(self) -> None:
        """Forget what was asked so far."""
        self.asked.clear()


class Page(web.RequestHandler):
    def initialize(self, service: Service) -> None:
        self.service = service

    def prepare(self) -> None:
        self.service.asked.append(self.request.path)
        if self.request.path in self.service.answers:
            status, body = self.service.answers[self.request.path]
            self.set_status(status)
            self.finish(body)

    def refuse(self, error: str) -> None:
        """With all that was sent, as careless services do."""
        self.set_status(400)
        self.write({"error": error, "error_description": f"no: {self.request.body.decode()}"})

    def log_exception(self, *_: Any) -> None:
        raise AssertionError("the provider of the tests failed")


class Missing(Page):
    def get(self) -> None:
        self.send_error(404)


class Discovery(Page):
    def get(self) -> None:
        if not self.service.openid:
            return self.send_error(404)
        url = self.service.url
        document = {
            "issuer": url,
            "authorization_endpoint": f"{url}/oauth/authorize",
            "token_endpoint": f"{url}/oauth/token",
            "userinfo_endpoint": f"{url}/oauth/userinfo",
            "end_session_endpoint": f"{url}/logout",
            "jwks_uri": f"{url}/jwks",
            "id_token_signing_alg_values_supported": ["RS256", "HS256", "none"],
            **self.service.document,
        }
        return self.finish(without_none(document))


class Keys(Page):
    def get(self) -> None:
        self.write({"keys": [key.public() for key in self.service.keys]})


class Authorize(Page):
    """The user is logged in here already, and agrees to everything."""

    def get(self) -> None:
        asked = {name: self.get_query_argument(name) for name in self.request.query_arguments}
        assert asked["client_id"] == CLIENT_ID
        assert asked["response_type"] == "code"
        assert asked["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe()
        self.service.secrets.add(code)
        self.service.codes[code] = asked
        self.redirect(f"{asked['redirect_uri']}?code={code}&state={asked['state']}")


class Token(Page):
    def post(self) -> None:
        if self.client() != (CLIENT_ID, CLIENT_SECRET):
            self.set_status(401)
            self.write({"error": "invalid_client"})
        elif self.get_body_argument("grant_type") == "authorization_code":
            asked = self.service.codes.pop(self.get_body_argument("code"), None)
            verifier = self.get_body_argument("code_verifier").encode()
            challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier).digest()).rstrip(b"=").decode()
            if asked is None or challenge != asked["code_challenge"]:
                self.refuse("invalid_grant")
            else:
                self.answer(nonce=asked.get("nonce"), scope=asked.get("scope", ""))
        else:
            refresh_token = self.get_body_argument("refresh_token")
            if refresh_token not in self.service.valid_refresh_tokens:
                return self.refuse("invalid_grant")
            self.service.withdraw_tokens()  # each serves once, and ends the access token that came with it
            self.answer(nonce=None, scope="")
        return None

    def client(self) -> tuple[str, str]:
        header = self.request.headers.get("Authorization", "")
        if header.startswith("Basic "):
            name, _, secret = base64.b64decode(header.removeprefix("Basic ")).decode().partition(":")
            return name, secret
        return self.get_body_argument("client_id"), self.get_body_argument("client_secret")

    def answer(self, nonce: str | None, scope: str) -> None:
        service, now = self.service, int(time.time())
        tokens: dict[str, Any] = {"access_token": secrets.token_urlsafe(), "token_type": "Bearer"}
        service.access_tokens[tokens["access_token"]] = now + (service.lifetime or 3600)
        if service.lifetime is not None:
            tokens["expires_in"] = service.lifetime
        if service.refresh_tokens:
            tokens["refresh_token"] = secrets.token_urlsafe()
            service.valid_refresh_tokens.add(tokens["refresh_token"])
        if service.openid and (nonce or not scope):
            claims = {
                "iss": service.url,
                "aud": CLIENT_ID,
                "iat": now,
                "exp": now + 3600,
                "nonce": nonce,
                **service.profile,
                **service.claims,
            }
            tokens["id_token"] = service.sign(without_none(claims))
        service.secrets.update(tokens[name] for name in tokens if name.endswith("_token"))
        self.write(tokens)


class UserInfo(Page):
    def get(self) -> None:
        token = self.request.headers["Authorization"].removeprefix("Bearer ")
        if self.service.access_tokens.get(token, 0) <= time.time():
            self.set_status(401)
            self.write({"error": "invalid_token", "error_description": f"{token} is not valid"})
        else:
            self.write(json.dumps(without_none({**self.service.profile, **self.service.userinfo})))


def without_none(items: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in items.items() if value is not None}
