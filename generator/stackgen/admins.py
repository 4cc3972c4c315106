"""Admins: in .env, so that every start makes them admins, and in the running hub at once."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from stackgen import compose
from stackgen.apply import Report, apply
from stackgen.engine import Engine
from stackgen.errors import StackgenError
from stackgen.hubapi import Hub
from stackgen.output import say
from stackgen.people import checked_name
from stackgen.render import ADMINS
from stackgen.rendering import conflict, pending
from stackgen.settings import Settings
from stackgen.stack import Stack


@dataclass(frozen=True)
class Added:
    """What `add_admin` did: the normalised name, and the password that it set, if it set one."""

    name: str
    password: str


@dataclass(frozen=True)
class Removed:
    """What `remove_admin` did: the normalised name, and whether anybody is still an admin."""

    name: str
    left: bool


@dataclass(frozen=True)
class Admin:
    """An admin, and whether .env says so; the others were made on the admin page or by ADMIN_GROUPS."""

    name: str
    in_env: bool
    state: str

    def row(self) -> list[str]:
        """The admin for people."""
        return [self.name, ".env" if self.in_env else "elsewhere", self.state]

    def data(self) -> dict[str, Any]:
        """The admin for programs."""
        return asdict(self)


HEADER = ("admin", "made in", "state")


def add_admin(stack: Stack, engine: Engine, name: str, password: Callable[[], str], *, renew: bool) -> Added:
    """Make `name` an admin who can log in: at once if the stack is up, else at its next start.

    An account that exists keeps its password unless `renew` is set; `password` is called only when one is needed, and
    never where the login has no passwords of its own. May be repeated and interrupted: nobody can log in as `name`
    before the password is set, and nobody but the operator sets it, not even by having signed up before. Raises
    StackgenError, with the hub's words, if the name or the password is refused.
    """
    name = checked_name(stack.settings, name)
    accounts = _accounts(stack, engine)
    chosen = password() if stack.settings.login.passwords and (renew or not accounts.has_account(name)) else ""
    stack, written = _store(stack, [*stack.settings.admins, name])
    if chosen:
        accounts.set_password(name, chosen)
    accounts.make_admin(name)
    if written.conflicts:
        raise conflict(written)
    return Added(name, chosen)


def remove_admin(stack: Stack, engine: Engine, name: str) -> Removed:
    """Make `name` an ordinary user, at once and for good; account, password and volume stay. May be repeated."""
    name = checked_name(stack.settings, name)
    accounts = _accounts(stack, engine)
    stack, written = _store(stack, [admin for admin in stack.settings.admins if admin != name])
    accounts.revoke_admin(name)
    if written.conflicts:
        raise conflict(written)
    left = any(person.admin for person in accounts.people()) if isinstance(accounts, Hub) else stack.settings.admins
    return Removed(name, bool(left))


def every_admin(settings: Settings, engine: Engine) -> list[Admin]:
    """Every admin; only those of .env if the hub cannot be asked."""
    try:
        known = {person.name: person for person in Hub.of(settings, engine).people()}
    except StackgenError as error:
        say(f"only the admins of .env are shown, because the hub cannot be asked: {error}")
        return [Admin(name, True, "unknown") for name in settings.admins]
    return [
        *(
            Admin(name, True, known[name].state if name in known and known[name].admin else "after the next start")
            for name in settings.admins
        ),
        *(
            Admin(person.name, False, person.state)
            for person in known.values()
            if person.admin and person.name not in settings.admins
        ),
    ]


def _store(stack: Stack, names: list[str]) -> tuple[Stack, Report]:
    """Write these admins into .env and into the file that the hub reads, and nothing else that may be pending."""
    names = list(dict.fromkeys(names))
    if names != stack.settings.admins:
        stack = stack.store(ADMIN_USERS=",".join(names))
    changes = [change for change in pending(stack) if change.path == ADMINS]
    return stack, apply(changes, stack.directory)


class _OfflineAccounts:
    """The accounts of a hub that is down: in its database, by a short-lived container of the hub's image."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack

    def has_account(self, name: str) -> bool:
        say(f"the hub is down: looking for an account of {name} (builds the hub's image if there is none yet)")
        return self._run("exists", name, check=False) == 0

    def set_password(self, name: str, password: str) -> None:
        self._run("password", name, stdin=password + "\n")

    def make_admin(self, name: str) -> None:
        """The hub makes everybody in ADMIN_USERS an admin when it starts."""

    def revoke_admin(self, name: str) -> None:
        say(f"the hub is down: taking the admin's rights of {name} out of its database")
        self._run("no-admin", name)

    def _run(self, command: str, name: str, *, stdin: str = "", check: bool = True) -> int:
        program = ("python", "-m", "stackgen_hub.offline", command, name)
        done = compose.run(compose.once(self.stack.directory, "hub", *program), stdin=stdin, capture=True, check=False)
        if done.returncode not in (0, 3) or (check and done.returncode != 0):
            raise StackgenError("the hub's database could not be changed", done.stderr.strip()[-2000:])
        return done.returncode


def _accounts(stack: Stack, engine: Engine) -> Hub | _OfflineAccounts:
    hub = engine.services(stack.settings["STACK_NAME"]).get("hub")
    if not hub or hub.state in ("created", "exited", "dead"):
        return _OfflineAccounts(stack)
    api = Hub.of(stack.settings, engine)
    if not api.answers():
        raise StackgenError("the hub runs, but does not answer", "wait until `stackgen status` shows it healthy")
    return api
