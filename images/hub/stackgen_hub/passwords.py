"""Passwords: what is accepted, and how it is hashed."""

import functools
from pathlib import Path

import bcrypt
import nativeauthenticator

SHORTEST = 8  # characters
LONGEST = 72  # bytes: bcrypt reads no further, and bcrypt 5 refuses more (its README, 5.0.0)
# bcrypt's work factor makes guessing a person's password expensive. A generated one has 120 random bits and cannot be
# guessed at any price, so 500 of them need not cost two minutes.
ROUNDS = 12
ROUNDS_GENERATED = 5


def check_password(password: str) -> None:
    """Raise ValueError, with a sentence for the one who chose it, for a password that will not do."""
    if len(password) < SHORTEST:
        raise ValueError(f"the password is shorter than {SHORTEST} characters")
    if not password.isprintable():
        raise ValueError("the password holds a character that cannot be printed")
    if not storable(password):
        raise ValueError(f"the password is longer than {LONGEST} bytes")
    if password in _common():
        raise ValueError("the password is one of the most common ones")


def storable(password: str) -> bool:
    """Whether bcrypt takes this password, so that it can be anybody's."""
    return len(password.encode(errors="surrogatepass")) <= LONGEST and "\x00" not in password


def hashed(password: str, *, generated: bool = False) -> bytes:
    """The bcrypt hash of a password, as NativeAuthenticator keeps it and crypt(3) knows it. Takes up to 0.3 s."""
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(ROUNDS_GENERATED if generated else ROUNDS))


@functools.cache
def _common() -> frozenset[str]:
    """The passwords that are tried first by whoever guesses: NativeAuthenticator's list."""
    return frozenset(Path(nativeauthenticator.__file__).with_name("common-credentials.txt").read_text().splitlines())
