"""What Piculator remembers: users, codes, tokens, signing keys, and what a test ordered. One SQLite file.

The service and the administration command open it side by side.
"""

import json
import secrets
import sqlite3
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from authlib.oauth2.rfc6749 import ClientMixin, TokenMixin
from authlib.oidc.core import AuthorizationCodeMixin
from joserfc.jwk import KeySet, RSAKey
from werkzeug.security import check_password_hash, generate_password_hash

FILE = Path("/srv/piculator.sqlite")
CODE_LIFETIME = 600  # seconds
FAULTS = ("forged", "unsigned", "expired", "issuer", "audience", "nonce")  # that the next id_token may have
SCHEMA = """
CREATE TABLE IF NOT EXISTS users (
  id INTEGER PRIMARY KEY AUTOINCREMENT, username TEXT UNIQUE, password TEXT, name TEXT, email TEXT, groups TEXT,
  disabled INTEGER DEFAULT 0
);
CREATE TABLE IF NOT EXISTS codes (code TEXT PRIMARY KEY, user_id INTEGER, content TEXT);
CREATE TABLE IF NOT EXISTS tokens (
  access_token TEXT PRIMARY KEY, refresh_token TEXT UNIQUE, user_id INTEGER, client_id TEXT, scope TEXT, expires REAL
);
CREATE TABLE IF NOT EXISTS keys (number INTEGER PRIMARY KEY AUTOINCREMENT, jwk TEXT);
CREATE TABLE IF NOT EXISTS orders (name TEXT PRIMARY KEY);
"""


@dataclass(frozen=True)
class User:
    """Somebody with an account that is not disabled."""

    id: int
    username: str
    name: str
    email: str
    groups: list[str]


@dataclass(frozen=True)
class Code(AuthorizationCodeMixin):
    """An authorization code: what the client asked for, until it comes back with it."""

    code: str
    user_id: int
    redirect_uri: str
    scope: str
    nonce: str | None
    code_challenge: str
    code_challenge_method: str
    auth_time: int = field(default_factory=lambda: int(time.time()))

    def get_redirect_uri(self) -> str:
        return self.redirect_uri

    def get_scope(self) -> str:
        return self.scope

    def get_nonce(self) -> str | None:
        return self.nonce

    def get_auth_time(self) -> int:
        return self.auth_time

    def get_acr(self) -> None:
        return None

    def get_amr(self) -> None:
        return None


@dataclass(frozen=True)
class Token(TokenMixin):
    """An access token and the refresh token that came with it."""

    access_token: str
    refresh_token: str
    user_id: int
    client_id: str
    scope: str
    expires: float

    def check_client(self, client: ClientMixin) -> bool:
        return client.get_client_id() == self.client_id

    def get_scope(self) -> str:
        return self.scope

    def is_expired(self) -> bool:
        return self.expires <= time.time()

    def is_revoked(self) -> bool:
        return user(self.user_id) is None


def query(statement: str, *values: object) -> list[sqlite3.Row]:
    """Run one statement in a transaction of its own; its rows."""
    connection = sqlite3.connect(FILE, timeout=30, isolation_level=None)
    connection.row_factory = sqlite3.Row
    try:
        return connection.execute(statement, values).fetchall()
    finally:
        connection.close()


def prepare() -> None:
    """Make the tables and the first signing key, if there are none."""
    connection = sqlite3.connect(FILE)
    connection.executescript(SCHEMA)
    connection.close()
    if not query("SELECT 1 FROM keys"):
        rotate_key()


def add_user(username: str, password: str, name: str, email: str, groups: list[str]) -> None:
    """A new account; its id was never anybody else's."""
    query(
        "INSERT INTO users (username, password, name, email, groups) VALUES (?, ?, ?, ?, ?)",
        username, generate_password_hash(password), name, email, json.dumps(groups),
    )  # fmt: skip


def user(number: int) -> User | None:
    """The user with this id, unless there is none or the account is disabled."""
    rows = query("SELECT id, username, name, email, groups FROM users WHERE id = ? AND NOT disabled", number)
    return User(**{**rows[0], "groups": json.loads(rows[0]["groups"])}) if rows else None


def user_with_password(username: str, password: str) -> User | None:
    """Who logs in with these, if that is right."""
    rows = query("SELECT id, password FROM users WHERE username = ?", username)
    return user(rows[0]["id"]) if rows and check_password_hash(rows[0]["password"], password) else None


def revoke_tokens_of(username: str) -> None:
    """Take back every code and token of a user."""
    query("DELETE FROM codes WHERE user_id = (SELECT id FROM users WHERE username = ?)", username)
    query("DELETE FROM tokens WHERE user_id = (SELECT id FROM users WHERE username = ?)", username)


def save_code(code: Code) -> None:
    """Keep a code until somebody comes with it."""
    query("INSERT INTO codes VALUES (?, ?, ?)", code.code, code.user_id, json.dumps(asdict(code)))


def take_code(code: str) -> Code | None:
    """Take a code out, so that it serves once even if two come with it at the same time."""
    rows = query("DELETE FROM codes WHERE code = ? RETURNING content", code)
    found = Code(**json.loads(rows[0]["content"])) if rows else None
    return found if found and found.auth_time + CODE_LIFETIME > time.time() else None


def save_token(token: Token) -> None:
    """Keep the tokens that a client was given."""
    query("INSERT INTO tokens VALUES (?, ?, ?, ?, ?, ?)", *asdict(token).values())


def token(text: str) -> Token | None:
    """The token whose access token or refresh token this is."""
    rows = query("SELECT * FROM tokens WHERE ? IN (access_token, refresh_token)", text)
    return Token(**rows[0]) if rows else None


def delete_token(old: Token) -> None:
    """Revoke an access token together with its refresh token."""
    query("DELETE FROM tokens WHERE access_token = ?", old.access_token)


def rotate_key() -> None:
    """Make a new key that signs from now on; those before stay published."""
    key = RSAKey.generate_key(2048, {"kid": secrets.token_hex(8), "use": "sig", "alg": "RS256"})
    query("INSERT INTO keys (jwk) VALUES (?)", json.dumps(key.as_dict(private=True)))


def keys() -> list[RSAKey]:
    """The signing keys, the one that signs first."""
    return [RSAKey.import_key(json.loads(row["jwk"])) for row in query("SELECT jwk FROM keys ORDER BY number DESC")]


def public_keys() -> dict[str, object]:
    """The keys that others check our signatures with (RFC 7517)."""
    return KeySet(keys()).as_dict(private=False)


def ordered(name: str) -> bool:
    """Whether a test ordered this."""
    return bool(query("SELECT 1 FROM orders WHERE name = ?", name))


def order(name: str) -> None:
    """Note what a test wants to happen."""
    query("INSERT OR IGNORE INTO orders VALUES (?)", name)


def take_order(*names: str) -> str | None:
    """Which of these was ordered, for this one time."""
    for name in names:
        if query("DELETE FROM orders WHERE name = ? RETURNING name", name):
            return name
    return None
