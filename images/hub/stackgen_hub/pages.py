"""Pages that JupyterHub has not: changing one's password, and letting in those who signed up."""

from pathlib import Path

from jupyterhub.handlers import BaseHandler
from jupyterhub.scopes import needs_scope
from piculatorauthenticator import end_access
from tornado import web

from stackgen_hub import api, people
from stackgen_hub.passwords import check_password, hashed

TEMPLATES = Path(__file__).with_name("templates")  # pages in it win over JupyterHub's and NativeAuthenticator's


class ChangePasswordHandler(BaseHandler):
    """/hub/change-password: for everybody who has an account."""

    async def show(self, *, done: str = "", wrong: str = "") -> None:
        """The form, after what came of it."""
        user = self.current_user
        has_account = user.name in self.authenticator.accounts()
        self.finish(await self.render_template("change-password.html", has_account=has_account, done=done, wrong=wrong))

    @web.authenticated
    async def get(self) -> None:
        await self.show()

    @web.authenticated
    async def post(self) -> None:
        old, new, again = (self.get_body_argument(field, strip=False) for field in ("old", "new", "again"))
        user = self.current_user
        if not await self.authenticator.authenticate(self, {"username": user.name, "password": old}):
            return await self.show(wrong="That is not your present password.")
        if new != again:
            return await self.show(wrong="The two new passwords differ.")
        try:
            check_password(new)
        except ValueError as error:
            return await self.show(wrong=f"Please choose another one: {error}.")
        self.authenticator.store_passwords({user.name: hashed(new)})
        self.db.commit()
        await end_access(user, servers=False)  # whoever else is logged in as this user is so no more
        self.set_login_cookie(user)
        await self.show(done="Your password has been changed.")
        return None


class WaitingHandler(BaseHandler):
    """/hub/waiting: for admins, those who signed up and are not let in yet."""

    async def show(self) -> None:
        """The list."""
        self.finish(await self.render_template("waiting.html", waiting=self.waiting()))

    def waiting(self) -> list[str]:
        """Everybody who signed up and was neither let in nor blocked."""
        accounts = self.authenticator.accounts()
        return sorted(name for name in accounts if self.authenticator.state(name, accounts) == "waiting")

    @needs_scope("admin:users")
    async def get(self) -> None:
        await self.show()

    @needs_scope("admin:users")
    async def post(self) -> None:
        """Let somebody in, or remove the account; by POST, so that JupyterHub's XSRF check guards it."""
        name = self.authenticator.normalize_username(self.get_body_argument("name", strip=False))
        if api.is_admin(self, name):
            api.only_for_admins(self)  # whoever waits under this name may be anybody
        if name in self.waiting():
            if self.get_body_argument("action") == "allow":
                self.authenticator.let_in(name)
            else:
                self.authenticator.remove_account(name)
                people.forget(self.db, name)
            self.db.commit()
        await self.show()


HANDLERS = [(r"/change-password", ChangePasswordHandler)]
