"""`stackgen publish`: verb and flags; what it needs is imported when it runs."""

from pathlib import Path
from typing import Annotated

import typer

from stackgen.cli_options import HERE, Directory, Yes

publication = typer.Typer()


@publication.command("publish")
def publish(
    folder: Annotated[Path | None, typer.Argument(help="The folder whose contents everybody gets.")] = None,
    directory: Directory = HERE,
    replace: Annotated[bool, typer.Option("--replace", help="Also over what admins have changed there.")] = False,
    delete: Annotated[bool, typer.Option("--delete", help="Remove from there what FOLDER has not.")] = False,
    remove: Annotated[
        bool, typer.Option("--remove", help="Take the shared folder away, with all that is in it.")
    ] = False,
    yes: Yes = False,
) -> None:
    """Put course material where every user reads it: notebooks/shared (SHARED_FOLDER). Admins may write there.

    It may be done again: each file and folder is replaced as a whole, also for servers that run. A server that was
    started before the first time has it from its next start on.
    """
    from stackgen import publishing
    from stackgen.confirmation import confirm
    from stackgen.engine import Engine
    from stackgen.errors import USAGE, StackgenError
    from stackgen.output import result, say, table
    from stackgen.stack import Stack

    settings, engine = Stack.at(directory).settings, Engine()
    name = settings["SHARED_FOLDER"]
    if (folder is None) != remove or (remove and (replace or delete)):
        raise StackgenError("name a folder, or --remove", "see: stackgen publish --help", USAGE)
    if folder is None:
        confirm(f"The folder {name} and all in it is taken away from every user", name, yes=yes)
        users = publishing.withdraw(settings, engine)
        for user in users:
            say(f"{user} has the folder, which is empty now, until the server stops")
        say(f"the folder {name} is " + ("empty: do this again when those servers have stopped" if users else "gone"))
        return
    done = publishing.publish(settings, engine, folder, replace=replace, delete=delete)
    rows = [[item, what] for what in ("new", "replaced", "removed", "kept", "same") for item in done[what]]
    result(table(("name", "is"), rows))
    for user in publishing.without_it(settings, engine):
        say(f"{user} has it from the next start of the server on")
    say(f"published: every user has it as the folder {name}")
