"""What every login of the stack has in common, whatever class of JupyterHub's family checks the password or token."""

from collections.abc import Mapping
from typing import Any

from jupyterhub import roles
from jupyterhub.auth import Authenticator
from jupyterhub.user import User
from jupyterhub.utils import maybe_future
from tornado import web
from traitlets import Unicode

from stackgen_hub import api, pages, people
from stackgen_hub.names import user_name, volume_name


class StackAuthenticator(Authenticator):
    """Mixed in before the class of a login: one way to write names, and stackgen's rules about people.

    The rules: a blocked person stays out, and whoever the login refuses outright; one on the allow list or on
    ADMIN_USERS comes in; for all others the login's own settings decide. Those of ADMIN_USERS are admins, and those who
    were are no more.
    """

    own_passwords = False  # whether accounts and passwords are stackgen's to manage
    volume_prefix = Unicode(config=True, help="The volume of a user is called this and the user's name.")

    def normalize_username(self, username: str) -> str:
        """As names.user_name does; a name that it refuses comes back lower case, for `validate_username` to refuse."""
        try:
            return user_name(username)
        except ValueError:
            return username.lower()

    def validate_username(self, username: str) -> bool:
        """Whether a normalised name can be a user's, and the user's volume can be made."""
        try:
            volume_name(self.volume_prefix, username)
            return user_name(username) == username and super().validate_username(username)
        except ValueError:
            return False

    def check_allow_config(self) -> None:
        """At the hub's start, before it makes admins: whoever was taken off ADMIN_USERS is no admin any more."""
        super().check_allow_config()
        admins = {self.normalize_username(name) for name in self.admin_users}
        for name in people.follow_admins(self.db, admins):
            self.log.info("%s is no longer on ADMIN_USERS, and no admin any more", name)

    def check_blocked_users(self, username: str, authentication: dict | None = None) -> bool:
        if people.rule(self.db, username) == people.BLOCK:
            raise web.HTTPError(403, f"{username} is blocked on this hub. Please ask an admin.")
        return super().check_blocked_users(username, authentication)

    async def check_allowed(self, username: str, authentication: dict | None = None) -> bool:
        # asked first, because it may refuse somebody outright, whatever the lists say
        allowed = await maybe_future(super().check_allowed(username, authentication))
        return allowed or username in self.admin_users or people.rule(self.db, username) == people.ALLOW

    def get_handlers(self, app) -> list:
        """The login's own pages, and what stackgen adds to JupyterHub."""
        return [*self.login_handlers(app), *api.HANDLERS, *(pages.HANDLERS if self.own_passwords else [])]

    def login_handlers(self, app) -> list:
        """The login's own pages, as the class after this one has them."""
        return super().get_handlers(app)

    def delete_user(self, user: User) -> None:
        """Whoever is deleted, on the admin page or by stackgen, leaves nothing behind but the volume."""
        people.forget(self.db, user.name)
        super().delete_user(user)

    def set_admin(self, user: User, *, admin: bool) -> None:
        """Make a user an admin, or no admin any more, at once. The list of ADMIN_USERS that the hub holds follows."""
        change = self.admin_users.add if admin else self.admin_users.discard
        change(user.name)
        user.admin = admin
        roles.assign_default_roles(self.db, entity=user.orm_user)
        people.person(self.db, user.name).admin = admin
        self.db.commit()

    def accounts(self) -> dict[str, bool]:
        """The accounts that stackgen manages: name -> whether the person was let in."""
        return {}

    def state(self, name: str, accounts: dict[str, bool]) -> str:
        """Where a person stands, in the word that `stackgen users list` shows."""
        if people.rule(self.db, name) == people.BLOCK:
            return "blocked"
        if self.own_passwords:
            return {True: "active", False: "waiting", None: "no password"}[accounts.get(name)]
        if name in self.admin_users or people.rule(self.db, name) == people.ALLOW:
            return "allowed"
        return "by provider"


class BoundAuthenticator(StackAuthenticator):
    """A login whose names others give: a person is known by what never becomes anybody else's there, not by a name."""

    provider: str  # whose people these are

    def subjects(self, info: Mapping[str, Any]) -> people.Subjects:
        """What the provider knows a person by, from auth_state."""
        raise NotImplementedError

    def user_of(self, subjects: people.Subjects, login: str) -> str:
        """The user that this person is, whom the provider calls `login`; or the reason on a page."""
        try:
            return people.user_of(self.db, self.provider, subjects, user_name(login))
        except (ValueError, people.Taken) as refused:
            raise web.HTTPError(403, str(refused)) from None

    async def run_post_auth_hook(self, handler, auth_model: dict) -> dict:
        """At a login that was allowed: from now on this person is this user."""
        try:
            people.bind(self.db, self.provider, self.subjects(auth_model["auth_state"]), auth_model["name"])
        except people.Taken as taken:
            raise web.HTTPError(403, str(taken)) from None
        return await super().run_post_auth_hook(handler, auth_model)


class PasswordAuthenticator(StackAuthenticator):
    """A login whose accounts and passwords stackgen manages: everybody who has an account may log in."""

    own_passwords = True

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.allow_all = True  # there is no way to get an account but through an admin

    def accounts(self) -> dict[str, bool]:
        raise NotImplementedError

    def store_passwords(self, hashes: dict[str, bytes]) -> None:
        """Give these accounts these passwords (bcrypt hashes), creating those that do not exist. All or nothing.

        Raises ValueError, with a sentence for the operator, for a name that this login cannot have.
        """
        raise NotImplementedError

    def remove_account(self, name: str) -> bool:
        """Remove an account; False if there was none."""
        raise NotImplementedError

    def let_in(self, name: str) -> None:
        """Let somebody in who signed up and waits; nothing to do where nobody can sign up."""

    def delete_user(self, user: User) -> None:
        self.remove_account(user.name)
        super().delete_user(user)
