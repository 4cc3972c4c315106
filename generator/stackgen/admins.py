"""Admins: in .env, so that every start makes them admins, and in the running hub at once."""

import getpass
import secrets
import sys
from collections.abc import Callable
from dataclasses import dataclass

from stackgen import compose, names
from stackgen.engine import Engine
from stackgen.errors import USAGE, StackgenError
from stackgen.front import FrontDoor
from stackgen.hubapi import Hub
from stackgen.output import say
from stackgen.stack import Stack

SHORTEST_PASSWORD = 8  # characters
LONGEST_PASSWORD = 72  # bytes: what bcrypt reads


@dataclass(frozen=True)
class Added:
    """What `add_admin` did: the normalised name, and whether it set a password."""

    name: str
    password_set: bool


def add_admin(stack: Stack, engine: Engine, name: str, password: Callable[[], str], *, renew: bool) -> Added:
    """Make `name` an admin who can log in: at once if the stack is up, else at its next start.

    An account that exists keeps its password unless `renew` is set; `password` is asked for only when one is needed.
    May be repeated and interrupted: nobody can log in as `name` before the password is set, and nobody but the
    operator sets it. Raises StackgenError, with the hub's words, if the name or the password is refused.
    """
    try:
        name = names.user_name(name)
    except ValueError as error:
        raise StackgenError(str(error), exit_code=USAGE) from None
    accounts = _accounts(stack, engine)
    password_set = renew or not accounts.has_account(name)
    secret = _checked(password()) if password_set else ""
    if name not in stack.settings.admins:
        stack = stack.store(ADMIN_USERS=",".join([*stack.settings.admins, name]))
    if password_set:
        accounts.set_password(name, secret)
    accounts.make_admin(name)
    return Added(name, password_set)


def generated_password() -> str:
    """A password of 20 characters that can be read out: no quotes, no spaces."""
    return secrets.token_urlsafe(15)


def asked_password(*, twice: bool = True) -> str:
    """Ask for a password, without echo. Raises StackgenError where there is no terminal."""
    if not sys.stdin.isatty():
        raise StackgenError(
            "there is no terminal to ask for a password on", "use --password-stdin or --generate", USAGE
        )
    first = getpass.getpass("Password: ")
    if twice and getpass.getpass("Again: ") != first:
        raise StackgenError("the two passwords differ", "try again", USAGE)
    return first


def _checked(password: str) -> str:
    if len(password) < SHORTEST_PASSWORD:
        raise StackgenError(f"the password is shorter than {SHORTEST_PASSWORD} characters", "or use --generate", USAGE)
    if len(password.encode()) > LONGEST_PASSWORD or not password.isprintable():
        raise StackgenError(f"the password must be printable and at most {LONGEST_PASSWORD} bytes long", "", USAGE)
    return password


class _OfflineAccounts:
    """The accounts of a hub that is down: in its database, by a short-lived container of the hub's image."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack

    def has_account(self, name: str) -> bool:
        return self._run("exists", name, check=False) == 0

    def set_password(self, name: str, password: str) -> None:
        self._run("password", name, stdin=password + "\n")

    def make_admin(self, name: str) -> None:
        """The hub makes everybody in ADMIN_USERS an admin when it starts."""

    def _run(self, command: str, name: str, *, stdin: str = "", check: bool = True) -> int:
        program = ("python", "-m", "stackgen_hub.accounts", command, name)
        done = compose.run(compose.once(self.stack.directory, "hub", *program), stdin=stdin, capture=True, check=False)
        if done.returncode not in (0, 3) or (check and done.returncode != 0):
            raise StackgenError("the hub's database could not be changed", done.stderr.strip()[-2000:])
        return done.returncode


def _accounts(stack: Stack, engine: Engine) -> Hub | _OfflineAccounts:
    hub = engine.services(stack.settings["STACK_NAME"]).get("hub")
    if not hub or hub.state in ("created", "exited", "dead"):
        if not hub:
            say("the stack is down: writing to the hub's database (builds the hub's image if there is none yet)")
        return _OfflineAccounts(stack)
    api = Hub(FrontDoor.of(stack.settings, engine), stack.settings["HUB_API_TOKEN"])
    if not api.answers():
        raise StackgenError("the hub runs, but does not answer", "wait until `stackgen status` shows it healthy")
    return api
