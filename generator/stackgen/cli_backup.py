"""`stackgen backup`: verbs and flags, nothing else; what a verb needs is imported when it runs."""

import json
from pathlib import Path
from typing import Annotated

import typer

from stackgen.cli_options import HERE, Directory, Json, Secrets, Yes

Assignments = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Another setting of backups; may be repeated."),
]

backup = typer.Typer(
    help="Backups of the whole stack, and what comes back from them.", no_args_is_help=True, rich_markup_mode=None
)


@backup.command()
def init(
    directory: Directory = HERE,
    repository: Annotated[
        str | None, typer.Option(help="A folder, or a place on another machine as restic writes it.")
    ] = None,
    assignments: Assignments = None,
    secrets: Secrets = None,
) -> None:
    """Choose where backups go, and make the repository there. Its password is made, and stored in .env."""
    from stackgen import backup as backups
    from stackgen.engine import Engine
    from stackgen.output import say
    from stackgen.stack import Stack

    given = _given(repository, assignments, secrets)
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
    assignments: Assignments = None,
    secrets: Secrets = None,
    as_json: Json = False,
) -> None:
    """Bring back a whole stack, one user's volume, or one path of it. Nothing is replaced without --replace."""
    from stackgen.engine import Engine
    from stackgen.errors import USAGE, StackgenError
    from stackgen.output import result, say
    from stackgen.restore import restore_user
    from stackgen.restore_stack import restore_stack
    from stackgen.stack import Stack

    given = _given(repository, assignments, secrets)
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


@backup.command()
def check(
    directory: Directory = HERE,
    read_data: Annotated[bool, typer.Option("--read-data", help="Read all that the repository holds.")] = False,
    subset: Annotated[
        str, typer.Option("--read-data-subset", metavar="PART", help="Read a part of it: 5%, 500M, or 1/7.")
    ] = "",
    prove: Annotated[
        bool, typer.Option("--restore", help="Restore the newest snapshot into a scratch volume, and compare.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Check that the repository is sound. Exits 1 if it is not, and says what is lost and what to do."""
    from stackgen import backup_check
    from stackgen.engine import Engine
    from stackgen.output import result, table
    from stackgen.stack import Stack

    report = backup_check.check(Stack.at(directory), Engine(), "100%" if read_data else subset, prove=prove)
    if as_json:
        result(json.dumps(report, indent=2, ensure_ascii=False))
    elif report.get("restored"):
        result(table(backup_check.HEADER, backup_check.rows(report["restored"])))
    raise typer.Exit(0 if backup_check.is_sound(report) else 1)


@backup.command()
def forget(
    directory: Directory = HERE,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show which.")] = False,
    as_json: Json = False,
) -> None:
    """Forget snapshots that BACKUP_KEEP does not keep, and give their room back. Each complete backup does so, too."""
    from stackgen import backup as backups
    from stackgen import backup_check
    from stackgen.engine import Engine
    from stackgen.output import result, table
    from stackgen.stack import Stack

    report = json.loads(backups.ask(Stack.at(directory), Engine(), "forget", *(["--dry-run"] if dry_run else [])))
    if as_json:
        result(json.dumps(report, indent=2, ensure_ascii=False))
    else:
        result(table(backup_check.FORGET_HEADER, backup_check.forget_rows(report)))


@backup.command()
def schedule(
    directory: Directory = HERE,
    at: Annotated[str, typer.Option(metavar="HH:MM", help="Time of the day.")] = "03:30",
    cron: Annotated[bool, typer.Option("--cron", help="For cron, and not for systemd.")] = False,
    user: Annotated[str, typer.Option(help="The user of this machine who backs up.")] = "root",
    install: Annotated[
        bool, typer.Option("--install", help="Write and enable it: systemd's timer, else cron's file.")
    ] = False,
    service: Annotated[bool, typer.Option("--service", help="Let a service of the stack do it.")] = False,
    remove: Annotated[bool, typer.Option("--remove", help="Take away whatever does it now.")] = False,
) -> None:
    """Print a timer of systemd, or a line of cron, that backs up each day; or see to it, or end it."""
    from stackgen import schedule as schedules
    from stackgen.errors import USAGE, StackgenError
    from stackgen.output import result
    from stackgen.stack import Stack

    stack = Stack.at(directory)
    if install + service + remove > 1:
        raise StackgenError("--install, --service and --remove exclude one another", "name one of them", USAGE)
    if remove:
        schedules.remove(stack)
        return
    planned = schedules.plan(stack, at, user)
    if service:
        schedules.serve(planned, schedules.time_zone())
    elif install:
        schedules.install(planned, cron=cron)
    else:
        files = planned.crontab() if cron else planned.units()
        result("\n".join(f"# {path}\n{text}" for path, text in files.items()).rstrip("\n"))


def _given(repository: str | None, assignments: list[str] | None, secrets: str | None) -> dict[str, str]:
    """The settings named on the command line."""
    from stackgen.initialize import parse_assignments, read_secrets

    given = parse_assignments(assignments or []) | (read_secrets(secrets) if secrets else {})
    return given | ({"BACKUP_REPOSITORY": repository} if repository else {})
