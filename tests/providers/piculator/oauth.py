"""Piculator's OAuth 2.0 server: authorization code with PKCE, rotating refresh tokens, revocation.

With OpenID Connect on top if PICULATOR_KIND says so. One client, set up by the environment.
"""

import hmac
import os
import time
from dataclasses import dataclass
from typing import override

import store
from authlib.integrations.flask_oauth2 import AuthorizationServer, ResourceProtector
from authlib.oauth2 import OAuth2Request
from authlib.oauth2.rfc6749 import ClientMixin, InvalidRequestError, grants
from authlib.oauth2.rfc6750 import BearerTokenValidator
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oidc.core import OpenIDCode
from flask import Flask, g
from joserfc.jwk import RSAKey

ISSUER = os.environ["ISSUER"]
OPENID = {"openid": True, "oauth": False}[os.environ["PICULATOR_KIND"]]
TOKEN_LIFETIME = int(os.environ["TOKEN_LIFETIME"])  # seconds
AUTHENTICATION = ["client_secret_basic", "client_secret_post"]
SCOPES = [*(["openid"] if OPENID else []), "profile", "email", "groups"]


@dataclass(frozen=True)
class Client(ClientMixin):
    """The one application that may use Piculator's accounts."""

    client_id: str
    secret: str
    callback_url: str
    after_logout_url: str

    def get_client_id(self) -> str:
        return self.client_id

    def get_default_redirect_uri(self) -> str:
        return self.callback_url

    def get_allowed_scope(self, scope: str | None) -> str:
        return " ".join(word for word in (scope or "").split() if word in SCOPES)

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        return redirect_uri == self.callback_url

    def check_client_secret(self, client_secret: str) -> bool:
        return hmac.compare_digest(client_secret, self.secret)

    @override
    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method in AUTHENTICATION

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type in ("authorization_code", "refresh_token")


CLIENT = Client(*(os.environ[key] for key in ("CLIENT_ID", "CLIENT_SECRET", "CALLBACK_URL", "AFTER_LOGOUT_URL")))


class AuthorizationCode(grants.AuthorizationCodeGrant):
    """Codes are taken out of the store when they are looked up: each serves once, also if it was used wrongly."""

    TOKEN_ENDPOINT_AUTH_METHODS = AUTHENTICATION

    def save_authorization_code(self, code: str, request: OAuth2Request) -> None:
        asked = request.payload.data
        store.save_code(
            store.Code(
                code=code,
                user_id=request.user.id,
                redirect_uri=request.payload.redirect_uri,
                scope=request.scope,
                nonce=asked.get("nonce"),
                code_challenge=asked["code_challenge"],
                code_challenge_method=asked["code_challenge_method"],
            )
        )

    @override
    def query_authorization_code(self, code: str, client: Client) -> store.Code | None:
        return store.take_code(code)

    def delete_authorization_code(self, authorization_code: store.Code) -> None:
        """Nothing is left to delete."""

    def authenticate_user(self, authorization_code: store.Code) -> store.User | None:
        return store.user(authorization_code.user_id)


class RefreshToken(grants.RefreshTokenGrant):
    """Each refresh token serves once, too: the answer brings the next."""

    TOKEN_ENDPOINT_AUTH_METHODS = AUTHENTICATION
    INCLUDE_NEW_REFRESH_TOKEN = True

    def authenticate_refresh_token(self, refresh_token: str) -> store.Token | None:
        found = store.token(refresh_token)
        return found if found and found.refresh_token == refresh_token else None

    def authenticate_user(self, refresh_token: store.Token) -> store.User | None:
        return store.user(refresh_token.user_id)

    def revoke_old_credential(self, refresh_token: store.Token) -> None:
        store.delete_token(refresh_token)


class Revocation(RevocationEndpoint):
    """RFC 7009: either token of a pair takes the other along."""

    CLIENT_AUTH_METHODS = AUTHENTICATION

    @override
    def query_token(self, token_string: str, token_type_hint: str | None) -> store.Token | None:
        return store.token(token_string)

    @override
    def revoke_token(self, token: store.Token, request: OAuth2Request) -> None:
        store.delete_token(token)


class AccessToken(BearerTokenValidator):
    """RFC 6750: the token in the Authorization header."""

    def authenticate_token(self, token_string: str) -> store.Token | None:
        found = store.token(token_string)
        return found if found and found.access_token == token_string else None


class Pkce(CodeChallenge):
    """RFC 7636, for every request and with S256 only."""

    SUPPORTED_CODE_CHALLENGE_METHOD = ("S256",)

    def validate_code_challenge(self, grant: AuthorizationCode, redirect_uri: str) -> None:
        if grant.request.payload.data.get("code_challenge_method") != "S256":
            raise InvalidRequestError("PKCE with S256 is required.")
        super().validate_code_challenge(grant, redirect_uri)


class IdToken(OpenIDCode):
    """The id_token; the next one has a fault if a test ordered one."""

    def encode_id_token(self, token: dict[str, object], request: OAuth2Request) -> str:
        g.fault = store.take_order(*store.FAULTS)
        return str(super().encode_id_token(token, request))

    @override
    def exists_nonce(self, nonce: str, request: OAuth2Request) -> bool:
        return False

    @override
    def get_client_algorithm(self, client: Client) -> str:
        return "none" if g.fault == "unsigned" else "RS256"

    def get_encode_header(self, client: Client) -> dict[str, str]:
        return {"alg": self.get_client_algorithm(client), "kid": store.keys()[0].kid}

    @override
    def resolve_client_private_key(self, client: Client) -> RSAKey:
        key = store.keys()[0]
        return RSAKey.generate_key(2048, {"kid": key.kid}) if g.fault == "forged" else key

    def get_client_claims(self, client: Client) -> dict[str, object]:
        return {"iss": ISSUER, "aud": client.client_id}

    @override
    def generate_user_info(self, user: store.User, scope: str) -> dict[str, object]:
        """The claims about the user, and those of the fault: Authlib lets these override all others."""
        now = int(time.time())
        wrong: dict[str, dict[str, object]] = {
            "expired": {"iat": now - 7200, "auth_time": now - 7200, "exp": now - 3600},
            "issuer": {"iss": "https://elsewhere.test"},
            "audience": {"aud": "another-client"},
            "nonce": {"nonce": "of-another-login"},
        }
        return claims(user) | wrong.get(g.fault, {})


def claims(user: store.User) -> dict[str, object]:
    """What a client learns about a user, in either kind."""
    about = {"name": user.name, "email": user.email, "groups": user.groups}
    if OPENID:
        return {"sub": f"account-{user.id}", "preferred_username": user.username} | about
    return {"id": user.id, "username": user.username} | about


def save_token(token: dict[str, object], request: OAuth2Request) -> None:
    """Keep what the server is about to give to the client."""
    store.save_token(
        store.Token(
            str(token["access_token"]),
            str(token["refresh_token"]),
            request.user.id,
            request.client.client_id,
            str(token.get("scope", "")),
            time.time() + TOKEN_LIFETIME,
        )
    )


def attach(app: Flask) -> AuthorizationServer:
    """The OAuth server of the application."""
    app.config["OAUTH2_REFRESH_TOKEN_GENERATOR"] = True
    app.config["OAUTH2_TOKEN_EXPIRES_IN"] = dict.fromkeys(("authorization_code", "refresh_token"), TOKEN_LIFETIME)
    server = AuthorizationServer(app, {CLIENT.client_id: CLIENT}.get, save_token)
    server.register_grant(AuthorizationCode, [Pkce(), *([IdToken()] if OPENID else [])])
    server.register_grant(RefreshToken)
    server.register_endpoint(Revocation)
    return server


require_oauth = ResourceProtector()
require_oauth.register_token_validator(AccessToken())
