"""Checks an id_token: OpenID Connect Core 1.0, sections 3.1.3.7 and 12.2."""

import base64
import hashlib
from collections.abc import Collection
from typing import Any

import jwt
from oauthenticator.oauth2 import _deserialize_state

# Keys of HS* are secrets that the hub shares, and "none" is no signature: neither proves who made the token.
ALGORITHMS = frozenset(
    ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"],
)
LEEWAY = 60  # seconds by which the clocks of hub and provider may differ


class UnknownKey(jwt.InvalidTokenError):
    """None of the provider's keys fits: it may have new ones."""


def nonce_of(state: str) -> str:
    """The nonce of a login, a hash of what its state cookie holds, as Core 15.5.2 advises.

    `state` is either the cookie's value or the parameter of the authorization request.
    """
    digest = hashlib.sha256(_deserialize_state(state)["state_id"].encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def check_id_token(
    id_token: str,
    keys: Collection[dict[str, Any]],
    *,
    issuer: str,
    client_id: str,
    algorithms: Collection[str],
    nonce: str | None = None,
) -> dict[str, Any]:
    """The claims of an id_token, or jwt.InvalidTokenError with a reason that may be shown to the user.

    `keys`: the provider's JSON Web Key Set. `algorithms`: what the provider announced, of which only ALGORITHMS count.
    `nonce`: what this login asked for; None for an answer to a refresh token.
    """
    header = jwt.get_unverified_header(id_token)
    algorithm = header.get("alg")
    if algorithm not in ALGORITHMS.intersection(algorithms):
        raise jwt.InvalidAlgorithmError("it is not signed in a way that the provider announced and this hub accepts")
    claims = _decode(id_token, _fitting(keys, header.get("kid"), algorithm), algorithm, issuer, client_id)
    audience = claims["aud"]
    party = claims.get("azp", client_id if isinstance(audience, str) or len(audience) == 1 else None)
    if party != client_id:
        raise jwt.InvalidAudienceError("it was issued to another client")
    if nonce is not None and claims.get("nonce") != nonce:
        raise jwt.InvalidTokenError("it belongs to another login")
    return claims


def _fitting(keys: Collection[dict[str, Any]], kid: str | None, algorithm: str) -> list[jwt.PyJWK]:
    """The keys that may have signed a token with this header."""
    fitting = []
    for key in keys:
        if kid not in (None, key.get("kid")):
            continue
        if key.get("use", "sig") != "sig" or key.get("alg", algorithm) != algorithm:
            continue
        try:
            fitting.append(jwt.PyJWK(key, algorithm))
        except jwt.PyJWTError:  # a key of another type
            continue
    return fitting


def _decode(id_token: str, keys: list[jwt.PyJWK], algorithm: str, issuer: str, client_id: str) -> dict[str, Any]:
    for key in keys:
        try:
            return jwt.decode(
                id_token,
                key,
                algorithms=[algorithm],
                issuer=issuer,
                audience=client_id,
                leeway=LEEWAY,
                options={"require": ["iss", "sub", "aud", "exp", "iat"]},
            )
        except jwt.InvalidSignatureError:
            if len(keys) == 1:
                raise
    raise UnknownKey("it is not signed with any key of the provider")
