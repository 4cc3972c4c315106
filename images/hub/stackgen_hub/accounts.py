"""Accounts with passwords: NativeAuthenticator with sign-up closed, filled by the operator.

With the hub up, `/hub/api/accounts/NAME` tells of an account and sets its password. With the hub down,
`python -m stackgen_hub.accounts` does the same in the hub's database.
"""

import os
import sys

import bcrypt
from jupyterhub import orm
from jupyterhub.apihandlers.base import APIHandler
from jupyterhub.handlers.login import LoginHandler
from jupyterhub.scopes import needs_scope
from nativeauthenticator import NativeAuthenticator
from nativeauthenticator.orm import UserInfo
from sqlalchemy.orm import Session
from tornado import web

BCRYPT_MAX_BYTES = 72  # bcrypt reads no further; bcrypt 5 refuses more (its README, 5.0.0)


def check_password(password: str) -> None:
    """Raise ValueError, with a sentence for the operator, for a password that cannot be stored."""
    if not password:
        raise ValueError("the password is empty")
    if "\x00" in password:
        raise ValueError("the password contains a NUL character")
    if len(password.encode()) > BCRYPT_MAX_BYTES:
        raise ValueError(f"the password is longer than {BCRYPT_MAX_BYTES} bytes")


def store_password(db: Session, name: str, password: str) -> None:
    """Give the account `name` (normalised) this password; the account is created if there is none."""
    check_password(password)
    account = UserInfo.find(db, name) or UserInfo(username=name)
    account.password = bcrypt.hashpw(password.encode(), bcrypt.gensalt())
    account.is_authorized = True
    db.add(account)
    db.commit()


class AccountsAuthenticator(NativeAuthenticator):
    """NativeAuthenticator whose accounts only the operator creates.

    Sign-up stays closed: NativeAuthenticator makes whoever signs up first under an admin's name that admin.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.enable_signup = False
        self.open_signup = False
        self.allow_all = True  # everybody who has an account; there is no other way to get one

    def get_handlers(self, app):
        # NativeAuthenticator 1.3.0's own login page calls BaseHandler.statsd, which JupyterHub 6.1 no longer has; what
        # it adds to the stock page is sign-up and a second factor, and neither is on here.
        native = [(path, handler) for path, handler in super().get_handlers(app) if path != "/login"]
        return [
            ("/login", LoginHandler),
            *native,
            (r"/api/accounts/([^/]+)", AccountAPIHandler),
            (r"/api/accounts/([^/]+)/password", PasswordAPIHandler),
        ]


class AccountAPIHandler(APIHandler):
    """`GET`: 204 if there is such an account, else 404; scope admin:users."""

    @needs_scope("admin:users")
    def get(self, name: str) -> None:
        if not self.authenticator.user_exists(name):
            raise web.HTTPError(404)
        self.set_status(204)


class PasswordAPIHandler(APIHandler):
    """`PUT {"password": "..."}`: 204; 400 for a name or a password that cannot be; scope admin:users."""

    @needs_scope("admin:users")
    def put(self, name: str) -> None:
        name = self.authenticator.normalize_username(name)
        body = self.get_json_body()
        password = body.get("password") if isinstance(body, dict) else None
        if not isinstance(password, str):
            raise web.HTTPError(400, "the body must be an object with a string: password")
        if not self.authenticator.validate_username(name):
            raise web.HTTPError(400, f"JupyterHub refuses the user name {name!r}")
        try:
            store_password(self.db, name, password)
        except ValueError as error:
            raise web.HTTPError(400, str(error)) from None
        self.authenticator.successful_login(name)  # forgets failed tries, so that a new password works at once
        self.set_status(204)


def main() -> None:
    """`exists NAME` ends with 0 or 3; `password NAME` reads a line from standard input and stores it."""
    command, name = sys.argv[1:]
    # creates the database's tables if this is the stack's first command, users_info among them
    with orm.new_session_factory(os.environ["DATABASE_URL"])() as session:
        if command == "exists":
            sys.exit(0 if UserInfo.find(session, name) else 3)
        try:
            store_password(session, name, sys.stdin.readline().rstrip("\n"))
        except ValueError as error:
            sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
