"""Which id_tokens are believed."""

import json
import secrets
import time
from typing import Any

import jwt
import pytest
from account_service import KEY, Key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from jwt.utils import base64url_encode
from piculatorauthenticator.idtoken import LEEWAY, UnknownKey, check_id_token

ISSUER = "https://login.example.edu"
CLIENT = "the-hub"
NOW = int(time.time())
CLAIMS = {"iss": ISSUER, "aud": CLIENT, "sub": "4711", "iat": NOW, "exp": NOW + 3600, "nonce": "n"}
OTHER = Key("first")  # another key with the same name


def check(id_token: str, *keys: dict[str, Any], nonce: str | None = "n") -> dict[str, Any]:
    """Checked as a provider's that announces more than it should."""
    algorithms = ["none", "HS256", "RS256", "PS256"]
    keys = keys or (KEY.public(),)
    return check_id_token(id_token, keys, issuer=ISSUER, client_id=CLIENT, algorithms=algorithms, nonce=nonce)


def signed(**claims: Any) -> str:
    """A good token but for these claims; None leaves one out."""
    return KEY.sign({name: value for name, value in {**CLAIMS, **claims}.items() if value is not None})


def by_hand(header: dict[str, str], claims: dict[str, Any]) -> str:
    """A token without a signature."""
    return ".".join(base64url_encode(json.dumps(part).encode()).decode() for part in (header, claims)) + "."


def test_a_good_token_is_believed() -> None:
    assert check(signed()) == CLAIMS
    assert check(signed(aud=[CLIENT]))["sub"] == "4711"
    assert check(signed(aud=[CLIENT, "another"], azp=CLIENT))["sub"] == "4711"
    now = int(time.time())  # NOW may be minutes ago
    assert check(signed(exp=now - LEEWAY // 2, iat=now + LEEWAY // 2))["sub"] == "4711"  # clocks differ a little


def test_an_answer_to_a_refresh_token_has_no_nonce() -> None:
    assert check(signed(nonce=None), nonce=None)["sub"] == "4711"


@pytest.mark.parametrize(
    "wrong",
    [
        {"iss": "https://login.example.edu/"},
        {"iss": "https://evil.example"},
        {"iss": None},
        {"aud": "another"},
        {"aud": ["another"]},
        {"aud": None},
        {"aud": [CLIENT, "another"]},
        {"aud": [CLIENT, "another"], "azp": "another"},
        {"azp": "another"},
        {"exp": NOW - 2 * LEEWAY},
        {"exp": None},
        {"iat": NOW + 3600},
        {"iat": None},
        {"sub": None},
        {"nonce": "of another login"},
        {"nonce": None},
    ],
)
def test_a_token_with_a_wrong_claim_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(jwt.InvalidTokenError):
        check(signed(**wrong))


def test_a_forged_signature_is_refused() -> None:
    with pytest.raises(jwt.InvalidSignatureError):
        check(OTHER.sign(CLAIMS))


def test_no_signature_at_all_is_refused() -> None:
    for name in ("none", "None", "NONE", ""):
        with pytest.raises(jwt.InvalidAlgorithmError):
            check(by_hand({"alg": name, "kid": KEY.kid, "typ": "JWT"}, CLAIMS))


def test_a_signature_with_what_others_know_is_refused() -> None:
    """The public key as if it were a shared secret, and the client's secret, which is not the provider's signature."""
    public = KEY.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for secret in (public, secrets.token_bytes()):
        unsigned = by_hand({"alg": "HS256", "kid": KEY.kid}, CLAIMS)[:-1].encode()
        signature = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256).sign(unsigned, secret)
        with pytest.raises(jwt.InvalidAlgorithmError):
            check(f"{unsigned.decode()}.{base64url_encode(signature).decode()}")


def test_an_algorithm_that_was_not_announced_is_refused() -> None:
    token = jwt.encode(CLAIMS, KEY.private, algorithm="RS512", headers={"kid": KEY.kid})
    with pytest.raises(jwt.InvalidAlgorithmError):
        check(token)


def test_the_algorithm_of_a_key_is_kept_to() -> None:
    token = jwt.encode(CLAIMS, KEY.private, algorithm="PS256", headers={"kid": KEY.kid})
    assert check(token)["sub"] == "4711"
    with pytest.raises(UnknownKey):
        check(token, {**KEY.public(), "alg": "RS256"})
    with pytest.raises(UnknownKey):
        check(token, {**KEY.public(), "use": "enc"})


def test_a_token_that_names_no_key_may_have_any_of_them() -> None:
    token = jwt.encode(CLAIMS, KEY.private, algorithm="RS256")
    assert check(token, OTHER.public(), {"kty": "oct", "k": "AAAA"}, KEY.public())["sub"] == "4711"


def test_a_new_key_is_told_from_a_forgery() -> None:
    with pytest.raises(UnknownKey):
        check(Key("second").sign(CLAIMS))


GOOD = signed()


@given(st.integers(0, len(GOOD) - 1), st.sampled_from("AZaz09-_.= é"))
def test_whatever_is_changed_in_a_token_it_is_refused(place: int, character: str) -> None:
    changed = GOOD[:place] + character + GOOD[place + 1 :]
    if changed == GOOD:
        assert check(changed) == CLAIMS
    else:
        with pytest.raises(jwt.InvalidTokenError):
            check(changed)
