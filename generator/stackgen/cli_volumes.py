"""`stackgen volumes`: verbs and flags, nothing else; what a verb needs is imported when it runs."""

import json

import typer

from stackgen.cli_options import HERE, Directory, Json

volumes = typer.Typer(help="The users' volumes.", no_args_is_help=True, rich_markup_mode=None)


@volumes.command("list")
def list_volumes(directory: Directory = HERE, as_json: Json = False) -> None:
    """List the users' volumes: owner, size, last use, and whether a server runs on it."""
    from stackgen import volumes as listing
    from stackgen.engine import Engine
    from stackgen.output import result, say, table
    from stackgen.stack import Stack

    settings, engine = Stack.at(directory).settings, Engine()
    found = listing.user_volumes(settings, engine, listing.known_users(settings, engine))
    if as_json:
        result(json.dumps([volume.data() for volume in found], indent=2, ensure_ascii=False))
    elif found:
        result(table(listing.HEADER, [volume.row() for volume in found]))
    else:
        say("no user has a volume yet")
