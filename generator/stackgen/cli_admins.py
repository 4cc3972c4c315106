"""`stackgen add-admin`, `remove-admin` and `admins`: verbs and flags; what a verb needs is imported when it runs."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

from stackgen.cli_options import HERE, Directory, Generate, Json, PasswordStdin

if TYPE_CHECKING:
    from stackgen.engine import Engine
    from stackgen.stack import Stack

admins = typer.Typer()


@admins.command("add-admin")
def add(
    name: Annotated[str, typer.Argument(help="User name.")],
    directory: Directory = HERE,
    generate: Generate = False,
    password_stdin: PasswordStdin = False,
) -> None:
    """Make a user an admin: at once if the stack is up, else at its next start.

    Asks for a password if the user has none yet; --generate and --password-stdin set a new one in any case.
    """
    from stackgen.admins import add_admin
    from stackgen.output import result, say
    from stackgen.passwords import check_options, new_password
    from stackgen.stack import Stack

    stack = Stack.at(directory)
    check_options(stack.settings, generate=generate, from_stdin=password_stdin)

    def password() -> str:
        return new_password(generate=generate, from_stdin=password_stdin)

    added = add_admin(stack, _engine(stack), name, password, renew=generate or password_stdin)
    kept = "; the password is as it was" if stack.settings.login.passwords and not added.password else ""
    say(f"{added.name} is an admin{kept}")
    if generate:
        result(added.password)


@admins.command("remove-admin")
def remove(name: Annotated[str, typer.Argument(help="User name.")], directory: Directory = HERE) -> None:
    """Make an admin an ordinary user, at once and for good. Account, password and volume stay."""
    from stackgen.admins import remove_admin
    from stackgen.output import say
    from stackgen.stack import Stack

    stack = Stack.at(directory)
    removed = remove_admin(stack, _engine(stack), name)
    say(f"{removed.name} is no admin; account, password and volume are as they were")
    if stack.settings["ADMIN_GROUPS"]:
        say("at the next login ADMIN_GROUPS may make the same person an admin again")
    if not removed.left:
        say("warning: nobody is an admin now: stackgen add-admin NAME")


@admins.command("admins")
def list_admins(directory: Directory = HERE, as_json: Json = False) -> None:
    """List the admins, those of .env and those made elsewhere: on the admin page or by ADMIN_GROUPS."""
    from stackgen.admins import HEADER, every_admin
    from stackgen.engine import Engine
    from stackgen.output import result, say, table
    from stackgen.stack import Stack

    found = every_admin(Stack.at(directory).settings, Engine())
    if as_json:
        result(json.dumps([admin.data() for admin in found], indent=2, ensure_ascii=False))
    elif found:
        result(table(HEADER, [admin.row() for admin in found]))
    else:
        say("there is no admin yet: stackgen add-admin NAME")


def _engine(stack: "Stack") -> "Engine":
    """The engine, which even a stack that is down needs; an invalid .env is said before anything about Docker."""
    from stackgen.engine import Engine
    from stackgen.machine import check_docker

    stack.settings  # noqa: B018
    check_docker()
    return Engine()
