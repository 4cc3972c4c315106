"""What a test orders from Piculator, run inside its container: python admin.py COMMAND [ARGUMENT...]."""

import json
import sys
import time

import store


def add() -> None:
    """A new user, as JSON on standard input."""
    store.add_user(**json.load(sys.stdin))


def remove(username: str) -> None:
    store.revoke_tokens_of(username)
    store.query("DELETE FROM users WHERE username = ?", username)


def groups(username: str, *names: str) -> None:
    store.query("UPDATE users SET groups = ? WHERE username = ?", json.dumps(names), username)


def disable(username: str) -> None:
    """The account stays, but nobody gets in with it, and its tokens are worth nothing."""
    store.query("UPDATE users SET disabled = 1 WHERE username = ?", username)
    store.revoke_tokens_of(username)


def enable(username: str) -> None:
    store.query("UPDATE users SET disabled = 0 WHERE username = ?", username)


def expire() -> None:
    """Every access token is over; refresh tokens still work."""
    store.query("UPDATE tokens SET expires = ?", time.time())


def spoil(fault: str) -> None:
    """Give the next id_token a fault."""
    assert fault in store.FAULTS
    store.order(fault)


def down() -> None:
    """Answer 503 to everything."""
    store.order("down")


def up() -> None:
    store.take_order("down")


def rotate() -> None:
    store.rotate_key()


COMMANDS = (add, remove, groups, disable, enable, expire, spoil, down, up, rotate)

if __name__ == "__main__":
    {command.__name__: command for command in COMMANDS}[sys.argv[1]](*sys.argv[2:])
