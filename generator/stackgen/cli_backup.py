"""`stackgen backup`: verbs and flags, nothing else; what a verb needs is imported when it runs."""

import json
from pathlib import Path
from typing import Annotated

import typer

from stackgen.cli_options import HERE, Directory, Json, Yes

backup = typer.Typer(
    help="Backups of the whole stack, and what comes back from them.", no_args_is_help=True, rich_markup_mode=None
)


@backup.command()
def init(
    directory: Directory = HERE,
    repository: Annotated[
        str | None, typer.Option(help="A folder, or a place on another machine as restic writes it.")
    ] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Another setting of backups; may be repeated."),
    ] = None,
    secrets: Annotated[
        str | None, typer.Option(metavar="FILE", help="Secret settings, as lines of .env; - reads standard input.")
    ] = None,
) -> None:
    """Choose where backups go, and make the repository there. Its password is made, and stored in .env."""
    from stackgen import backup as backups
    from stackgen.engine import Engine
    from stackgen.initialize import parse_assignments, read_secrets
    from stackgen.output import say
    from stackgen.stack import Stack

    given = parse_assignments(assignments or []) | (read_secrets(secrets) if secrets else {})
    if repository:
        given["BACKUP_REPOSITORY"] = repository
    stack = backups.init(Stack.at(directory), Engine(), given)
    say(
        f"BACKUP_PASSWORD in {stack.env} opens it. Keep a copy on another machine: without it no backup can be read.\n"
        "Next: stackgen backup run"
    )


@backup.command()
def run(directory: Directory = HERE, as_json: Json = False) -> None:
    """Back up the hub's database, .env, your files and every volume. Users go on working."""
    from stackgen import backup as backups
    from stackgen.engine import Engine
    from stackgen.output import result
    from stackgen.stack import Stack

    report = backups.run(Stack.at(directory), Engine())
    if as_json:
        result(json.dumps(report, indent=2, ensure_ascii=False))


@backup.command("list")
def list_snapshots(
    directory: Directory = HERE,
    user: Annotated[str | None, typer.Option(help="Those that hold this user's volume.")] = None,
    files: Annotated[bool, typer.Option("--files", help="What a user's volume held.")] = False,
    path: Annotated[str, typer.Option(help="With --files: a folder of it.")] = "",
    snapshot: Annotated[str, typer.Option(help="With --files: of this snapshot.")] = "latest",
    as_json: Json = False,
) -> None:
    """List the snapshots, the oldest first."""
    from stackgen import backup as backups
    from stackgen.engine import Engine
    from stackgen.errors import USAGE, StackgenError
    from stackgen.output import result, say, table
    from stackgen.people import checked_name
    from stackgen.stack import Stack

    stack = Stack.at(directory)
    if files and not user:
        raise StackgenError("--files needs --user", "whose files?", USAGE)
    whose = ("--user", checked_name(stack.settings, user)) if user else ()
    verb = ("files", "--snapshot", snapshot, *whose, "--", path) if files else ("list", *whose)
    found = json.loads(backups.ask(stack, Engine(), *verb))
    if as_json:
        result(json.dumps(found, indent=2, ensure_ascii=False))
    elif not found:
        say("nothing was found")
    elif files:
        result(table(backups.FILES_HEADER, [backups.file_row(entry) for entry in found]))
    else:
        result(table(backups.HEADER, [backups.row(entry) for entry in found]))


@backup.command()
def restore(
    target: Annotated[Path | None, typer.Argument(metavar="[DIR]", help="Where the stack is restored to.")] = None,
    directory: Directory = HERE,
    user: Annotated[str | None, typer.Option(help="This user's volume alone.")] = None,
    path: Annotated[str, typer.Option(help="With --user: this file or folder of it alone.")] = "",
    snapshot: Annotated[str, typer.Option(help="Another one than the newest.")] = "latest",
    replace: Annotated[
        bool, typer.Option("--replace", help="In place of what is there, instead of beside it.")
    ] = False,
    yes: Yes = False,
    repository: Annotated[str | None, typer.Option(help="Where backups are, if no .env is left that says it.")] = None,
    stack: Annotated[str, typer.Option(help="The stack's name, where a repository holds several.")] = "",
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Another setting of backups; may be repeated."),
    ] = None,
    secrets: Annotated[
        str | None, typer.Option(metavar="FILE", help="Secret settings, as lines of .env; - reads standard input.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Bring back a whole stack, one user's volume, or one path of it. Nothing is replaced without --replace."""
    from stackgen.engine import Engine
    from stackgen.errors import USAGE, StackgenError
    from stackgen.initialize import parse_assignments, read_secrets
    from stackgen.output import result, say
    from stackgen.restore import restore_user
    from stackgen.restore_stack import restore_stack
    from stackgen.stack import Stack

    given = parse_assignments(assignments or []) | (read_secrets(secrets) if secrets else {})
    if repository:
        given["BACKUP_REPOSITORY"] = repository
    where = (target or directory).resolve()  # now: what is replaced is moved away, and takes this shell with it
    if user:
        if given:
            raise StackgenError("--user restores from the repository in .env", "leave out what names another", USAGE)
        found = Stack.at(where)
        done = restore_user(found, Engine(), user, path=path, snapshot=snapshot, replace=replace, yes=yes)
    elif path:
        raise StackgenError("--path needs --user", "whose path?", USAGE)
    else:
        done = restore_stack(where, Engine(), given, stack=stack, snapshot=snapshot, replace=replace, yes=yes)
        say(f"\nThe stack is in {where}. Next:\n\n  cd {where}\n  stackgen up")
    if as_json:
        result(json.dumps(done, indent=2, ensure_ascii=False))
