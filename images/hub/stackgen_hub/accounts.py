"""AUTH=accounts: NativeAuthenticator, with accounts that the operator makes or, for sign-ups, approves."""

from jupyterhub import orm
from jupyterhub.handlers.login import LoginHandler
from nativeauthenticator import NativeAuthenticator
from nativeauthenticator.handlers import SignUpHandler
from nativeauthenticator.orm import UserInfo
from tornado import web

from stackgen_hub.authenticator import PasswordAuthenticator
from stackgen_hub.pages import WaitingHandler
from stackgen_hub.passwords import check_password, storable


class AccountsAuthenticator(PasswordAuthenticator, NativeAuthenticator):
    """NativeAuthenticator with sign-up closed, unless ALLOW_SIGNUP opens it; then an admin lets each person in."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.open_signup = False

    def login_handlers(self, app) -> list:  # noqa: ARG002
        # NativeAuthenticator 1.3.0's own login page calls BaseHandler.statsd, which JupyterHub 6.1 no longer has. Its
        # pages for admins change accounts by GET, so that any page an admin looks at could do it: pages.py has others.
        return [("/login", LoginHandler), ("/signup", SignUpHandler), ("/waiting", WaitingHandler)]

    async def authenticate(self, handler, data):
        name = self.normalize_username(data["username"])
        if self.allowed_failed_logins and self.is_blocked(name):
            raise web.HTTPError(
                429, f"Too many wrong passwords. Please try again in {self.seconds_before_next_try // 60} minutes."
            )
        if not storable(data["password"]):
            return None  # it can be nobody's, and bcrypt would raise
        authenticated = await super().authenticate(handler, data)
        account = self.get_user(name)
        if not authenticated and account and not account.is_authorized and account.is_valid_password(data["password"]):
            raise web.HTTPError(403, "Your account waits for an admin, who has to let you in.")
        return authenticated

    def create_user(self, username, password, **kwargs):
        """Sign somebody up. Refused, as NativeAuthenticator refuses a name that is taken, for an admin's name, because
        it would let that one in at once, and for any user's, because their volume would come with the name.
        """
        name = self.normalize_username(username)
        if name in self.admin_users or orm.User.find(self.db, name):
            return None
        try:
            check_password(password)
        except ValueError:
            return None
        # whoever asked for a second factor, which the login page does not know, could never log in
        return super().create_user(name, password, **{**kwargs, "has_2fa": False})

    def accounts(self) -> dict[str, bool]:
        return {account.username: bool(account.is_authorized) for account in UserInfo.all_users(self.db)}

    def store_passwords(self, hashes: dict[str, bytes]) -> None:
        for name, password in hashes.items():
            account = UserInfo.find(self.db, name) or UserInfo(username=name)
            account.password = password
            account.is_authorized = True
            self.db.add(account)
            self.successful_login(name)  # forgets failed tries, so that a new password works at once

    def remove_account(self, name: str) -> bool:
        account = UserInfo.find(self.db, name)
        if account:
            self.db.delete(account)
        return account is not None

    def let_in(self, name: str) -> None:
        account = UserInfo.find(self.db, name)
        if account:
            account.is_authorized = True
