"""`stackgen volumes`: verbs and flags, nothing else; what a verb needs is imported when it runs."""

import json
from pathlib import Path
from typing import Annotated

import typer

from stackgen.cli_options import HERE, Directory, Json, Yes

volumes = typer.Typer(help="The users' volumes.", no_args_is_help=True, rich_markup_mode=None)

Name = Annotated[str, typer.Argument(metavar="NAME", help="A user, or a volume of this stack.")]
Into = Annotated[str, typer.Option(help="Folder of the volume to put everything into; . is the volume itself.")]
Replace = Annotated[bool, typer.Option("--replace", help="Replace files that are there with other contents.")]
NoBackup = Annotated[bool, typer.Option("--no-backup", help="Destroy without a last backup.")]


@volumes.command("list")
def list_volumes(directory: Directory = HERE, as_json: Json = False) -> None:
    """List the users' volumes: owner, size, last use, and how they stand."""
    from stackgen import volumes as listing
    from stackgen.engine import Engine
    from stackgen.output import result, say, table
    from stackgen.stack import Stack

    settings, engine = Stack.at(directory).settings, Engine()
    found = listing.user_volumes(settings, engine, listing.known_people(settings, engine))
    if as_json:
        result(json.dumps([volume.data() for volume in found], indent=2, ensure_ascii=False))
    elif found:
        result(table(listing.HEADER, [volume.row() for volume in found]))
    else:
        say("no user has a volume yet")


@volumes.command()
def show(name: Name, directory: Directory = HERE, as_json: Json = False) -> None:
    """Show one volume: labels, quota, number of files, largest folders."""
    from stackgen import volume_details as details
    from stackgen.engine import Engine
    from stackgen.output import result
    from stackgen.stack import Stack

    shown = details.details(Stack.at(directory).settings, Engine(), name)
    result(json.dumps(shown, indent=2, ensure_ascii=False) if as_json else details.text(shown))


@volumes.command()
def export(
    name: Name,
    target: Annotated[
        str | None, typer.Argument(metavar="FILE", help="New file, or - to print.", show_default="VOLUME.tar")
    ] = None,
    directory: Directory = HERE,
) -> None:
    """Write a tar of all of a user's files, which they can take home; only you can read it."""
    from stackgen import transfer
    from stackgen.engine import Engine
    from stackgen.output import say
    from stackgen.stack import Stack
    from stackgen.volumes import find

    settings, engine = Stack.at(directory).settings, Engine()
    volume, owner = find(settings, engine, name)
    target = target or f"{volume.name}.tar"
    transfer.export(settings, engine, volume.name, target)
    if target != "-":
        say(f"all files of {owner} are in {target}, which only you can read")


@volumes.command("import")
def import_tar(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The user.")],
    source: Annotated[str, typer.Argument(metavar="FILE", help="A tar, compressed or not, or - to read one.")],
    directory: Directory = HERE,
    into: Into = ".",
    replace: Replace = False,
    links_out: Annotated[bool, typer.Option("--links-out", help="Keep links to places outside of the volume.")] = False,
) -> None:
    """Unpack a tar into a user's volume: all of it, or nothing. Nothing is overwritten without --replace."""
    from stackgen import transfer
    from stackgen.engine import Engine
    from stackgen.people import checked_name
    from stackgen.stack import Stack

    settings = Stack.at(directory).settings
    options = transfer.Options(into, replace, links_out)
    transfer.take(settings, Engine(), checked_name(settings, name), source, options)


@volumes.command()
def copy(
    name: Name,
    to: Annotated[str, typer.Argument(metavar="USER", help="The user whose volume gets the files.")],
    directory: Directory = HERE,
    into: Annotated[
        str | None, typer.Option(help="Folder of the volume to put everything into.", show_default="from-NAME")
    ] = None,
    replace: Replace = False,
) -> None:
    """Copy a user's files into another user's volume, into a folder of their own; the original stays."""
    from stackgen import transfer
    from stackgen.engine import Engine
    from stackgen.people import checked_name
    from stackgen.stack import Stack
    from stackgen.volumes import find

    settings, engine = Stack.at(directory).settings, Engine()
    volume, owner = find(settings, engine, name)
    options = transfer.Options(f"from-{owner}" if into is None else into, replace)
    transfer.copy(settings, engine, volume.name, checked_name(settings, to), options)


@volumes.command()
def remove(name: Name, directory: Directory = HERE, yes: Yes = False, no_backup: NoBackup = False) -> None:
    """Destroy a volume with all files, after a last backup. Refused while a server runs on it."""
    from stackgen import removal
    from stackgen.engine import Engine
    from stackgen.stack import Stack

    removal.remove(Stack.at(directory), Engine(), name, yes=yes, backup=not no_backup)


@volumes.command()
def prune(
    directory: Directory = HERE,
    remove: Annotated[bool, typer.Option("--remove", help="Remove them, each as volumes remove does.")] = False,
    yes: Yes = False,
    no_backup: NoBackup = False,
    as_json: Json = False,
) -> None:
    """Show the volumes of users whom the hub knows no more. Needs the stack up."""
    from stackgen import removal
    from stackgen.engine import Engine
    from stackgen.output import result, say, table
    from stackgen.stack import Stack
    from stackgen.volumes import HEADER

    stack, engine = Stack.at(directory), Engine()
    gone = removal.orphans(stack.settings, engine)
    if as_json:
        result(json.dumps([volume.data() for volume in gone], indent=2, ensure_ascii=False))
    elif gone:
        result(table(HEADER, [volume.row() for volume in gone]))
    else:
        say("every volume has a user")
    if remove:
        removal.prune(stack, engine, gone, yes=yes, backup=not no_backup)
    elif gone:
        say("nothing was removed; --remove does it")


@volumes.command()
def adopt(
    volume: Annotated[str | None, typer.Argument(help="A volume of any name, to copy; with --user.")] = None,
    directory: Directory = HERE,
    user: Annotated[str | None, typer.Option(help="Copy VOLUME into this user's volume; the original stays.")] = None,
    into: Into = ".",
    replace: Replace = False,
    chown: Annotated[bool, typer.Option("--chown", help="Give files of others to the users' servers.")] = False,
    add_users: Annotated[bool, typer.Option("--add-users", help="Add the users whom the hub does not know.")] = False,
    output: Annotated[
        str | None,
        typer.Option(help="New file for their passwords, or - to print them.", show_default="new-accounts-TIME.csv"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Take over volumes from a deployment made by hand: show each, the user it leads to, and what is in the way.

    Volumes that are called as this stack calls them are used as they are; others are copied. Exits 3 if something is in
    the way.
    """
    from datetime import datetime

    from stackgen import adoption, people, transfer
    from stackgen.engine import Engine
    from stackgen.errors import CONFLICT, USAGE, StackgenError
    from stackgen.hubapi import Hub
    from stackgen.output import result, say, table
    from stackgen.stack import Stack
    from stackgen.volumes import known_people

    settings, engine = Stack.at(directory).settings, Engine()
    if (volume is None) != (user is None) or (volume and (chown or add_users)):
        raise StackgenError(
            "a volume to copy needs --user, and nothing else does", "stackgen volumes adopt --help", USAGE
        )
    if volume and user:
        adoption.check_free_to_copy(settings, engine, volume)
        options = transfer.Options(into, replace)
        transfer.copy(settings, engine, volume, people.checked_name(settings, user), options)
        return
    known = Hub.of(settings, engine).people() if add_users else known_people(settings, engine)
    found = adoption.adoptable(settings, engine, known)
    if chown:
        adoption.check_free(found)
        adoption.mend(settings, engine, found)
        found = adoption.adoptable(settings, engine, known)
    if add_users and known is not None:
        adoption.check_free(found)
        planned = adoption.new_people(settings, found, known)
        output = output or f"new-accounts-{datetime.now():%Y%m%d-%H%M%S}.csv"
        if planned.entries:
            people.add(Hub.of(settings, engine), planned, None if output == "-" else Path(output))
        say(f"added: {len(planned.new)}")
        known = Hub.of(settings, engine).people()
        found = adoption.adoptable(settings, engine, known)
    if as_json:
        result(json.dumps([item.data() for item in found], indent=2, ensure_ascii=False))
    elif found and not (add_users and output == "-"):
        result(table(adoption.HEADER, [item.row() for item in found]))
    elif not found:
        say("there are no volumes without labels")
    adoption.check_free(found)
    if any(item.foreign for item in found):
        say("users cannot change files of others: mend them with --chown")
        raise typer.Exit(CONFLICT)
