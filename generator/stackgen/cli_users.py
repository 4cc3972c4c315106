"""`stackgen users`: verbs and flags, nothing else; what a verb needs is imported when it runs."""

import json
from pathlib import Path
from typing import Annotated

import typer

from stackgen.cli_options import HERE, Directory, Generate, Json, PasswordStdin, Yes

users = typer.Typer(
    help="The people who use the stack: who they are, and who may log in. Needs the stack up.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Names = Annotated[list[str], typer.Argument(metavar="NAME...", help="User names.")]


@users.command("list")
def list_users(directory: Directory = HERE, as_json: Json = False) -> None:
    """List everybody whom the hub knows."""
    from dataclasses import asdict

    from stackgen.engine import Engine
    from stackgen.hubapi import Hub
    from stackgen.output import result, say, table
    from stackgen.people import HEADER, row
    from stackgen.stack import Stack

    people = Hub.of(Stack.at(directory).settings, Engine()).people()
    if as_json:
        result(json.dumps([asdict(person) for person in people], indent=2, ensure_ascii=False))
    elif people:
        result(table(HEADER, map(row, people)))
    else:
        say("there is nobody yet: stackgen users add NAME")


@users.command()
def add(
    names: Names,
    directory: Directory = HERE,
    generate: Annotated[bool, typer.Option("--generate", help="Make passwords and print NAME,PASSWORD.")] = False,
    password_stdin: PasswordStdin = False,
    groups: Annotated[list[str] | None, typer.Option("--group", help="Put them in a group; may be repeated.")] = None,
    email: Annotated[str, typer.Option(help="E-mail address.")] = "",
) -> None:
    """Let people log in: with a new account, or by name where a provider has the accounts.

    Asks for the password of an account; for several people at once, --generate makes them. Whoever has an account
    already keeps its password.
    """
    from dataclasses import replace

    from stackgen import people
    from stackgen.engine import Engine
    from stackgen.errors import USAGE, StackgenError
    from stackgen.hubapi import Hub
    from stackgen.output import say
    from stackgen.passwords import check_options, new_password
    from stackgen.stack import Stack

    settings = Stack.at(directory).settings
    passwords = settings.login.passwords
    check_options(settings, generate=generate, from_stdin=password_stdin)
    entries = list(dict.fromkeys(people.checked_entry(settings, name, groups or (), email) for name in names))
    if len(entries) > 1 and (email or (passwords and not generate)):
        hint = "add them one by one" if email else "use --generate"
        raise StackgenError("several people cannot share an e-mail address or a password", hint, USAGE)
    hub = Hub.of(settings, Engine())
    known = hub.people()
    planned = people.plan(entries, known, passwords=passwords)
    if passwords and planned.new and not generate:
        chosen = new_password(generate=False, from_stdin=password_stdin)
        planned = people.plan([replace(entries[0], password=chosen)], known, passwords=True)
    people.add(hub, planned, None)
    for name in planned.new:
        say(f"{name} may log in")
    for person in known:
        if person.name in planned.existing:
            kept = "; the password is as it was" if passwords else ""
            say(f"{person.name} was there already, and is {person.state}{kept}")


@users.command()
def remove(
    names: Names,
    directory: Directory = HERE,
    volume: Annotated[bool, typer.Option("--volume", help="Destroy the volume, with all files, too.")] = False,
    yes: Yes = False,
    no_backup: Annotated[bool, typer.Option("--no-backup", help="Destroy volumes without a last backup.")] = False,
) -> None:
    """Remove people: server, account and all that the hub knows of them. Volumes are kept."""
    from stackgen import people
    from stackgen.engine import Engine
    from stackgen.hubapi import Hub
    from stackgen.stack import Stack

    stack, engine = Stack.at(directory), Engine()
    hub = Hub.of(stack.settings, engine)
    people.remove_people(stack, engine, hub, names, volume=volume, yes=yes, backup=not no_backup)


@users.command()
def passwd(
    name: Annotated[str, typer.Argument(help="User name.")],
    directory: Directory = HERE,
    generate: Generate = False,
    password_stdin: PasswordStdin = False,
) -> None:
    """Set a new password. Whoever is logged in with the old one is logged out."""
    from stackgen import people
    from stackgen.engine import Engine
    from stackgen.hubapi import Hub
    from stackgen.output import result, say
    from stackgen.passwords import check_options, new_password, providers
    from stackgen.stack import Stack

    settings = Stack.at(directory).settings
    check_options(settings, generate=generate, from_stdin=password_stdin)
    if not settings.login.passwords:
        raise providers(settings)
    name, hub = people.checked_name(settings, name), Hub.of(settings, Engine())
    people.known_person(hub, name)
    password = new_password(generate=generate, from_stdin=password_stdin)
    person = hub.change(name, password=password, generated=generate)
    say(f"{name} has a new password" + ("" if person.state == "active" else f", but is {person.state}"))
    if generate:
        result(password)


@users.command()
def allow(names: Names, directory: Directory = HERE) -> None:
    """Let people in: those who signed up and wait, who were blocked, or whose account a provider has."""
    from stackgen import people
    from stackgen.engine import Engine
    from stackgen.hubapi import Hub
    from stackgen.output import say
    from stackgen.stack import Stack

    settings = Stack.at(directory).settings
    for person in people.set_rule(settings, Hub.of(settings, Engine()), names, "allow"):
        no_password = person.state == "no password"
        say(f"{person.name} may log in" + (f", but has no password: stackgen users passwd {person.name}" * no_password))


@users.command()
def block(names: Names, directory: Directory = HERE) -> None:
    """Keep people out, at once: their sessions, tokens and servers end. Their volumes are kept."""
    from stackgen import people
    from stackgen.engine import Engine
    from stackgen.hubapi import Hub
    from stackgen.output import say
    from stackgen.stack import Stack

    settings = Stack.at(directory).settings
    for person in people.set_rule(settings, Hub.of(settings, Engine()), names, "block"):
        say(f"{person.name} is blocked")


@users.command("import")
def import_roster(
    file: Annotated[Path, typer.Argument(help="CSV: username,password,groups,email.")],
    directory: Directory = HERE,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Leave bad lines out and import the others.")] = False,
    output: Annotated[
        str | None,
        typer.Option(
            help="New file for the passwords made here, or - to print them.", show_default="new-accounts-TIME.csv"
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be done, and do nothing.")] = False,
) -> None:
    """Add the people on a roster, all or none. Whoever has no password on it gets one."""
    from datetime import datetime

    from stackgen import people
    from stackgen.engine import Engine
    from stackgen.hubapi import Hub
    from stackgen.output import result, say, table
    from stackgen.stack import Stack

    settings = Stack.at(directory).settings
    roster = people.read_roster(file, settings, skip_bad=skip_bad)
    hub = Hub.of(settings, Engine())
    planned = people.plan(roster.entries, hub.people(), passwords=settings.login.passwords)
    if dry_run:
        signed_up = dict.fromkeys(planned.signed_up, "signed up, gets another password")
        rows = [[name, signed_up.get(name, "new")] for name in planned.new]
        rows += [[name, "there already"] for name in planned.existing]
        result(table(("user", "is"), rows))
    else:
        output = output or f"new-accounts-{datetime.now():%Y%m%d-%H%M%S}.csv"
        people.add(hub, planned, None if output == "-" else Path(output))
    say(
        f"{'would be added' if dry_run else 'added'}: {len(planned.new)}, there already: {len(planned.existing)}, "
        f"bad lines skipped: {len({line.number for line in roster.bad})}"
    )


@users.command()
def export(
    file: Annotated[Path | None, typer.Argument(help="New file; printed if none is named.")] = None,
    directory: Directory = HERE,
) -> None:
    """Write a roster of everybody who may log in, without passwords, which `import` reads.

    Those whom a provider's groups or ALLOW_ALL let in are left out.
    """
    from stackgen import people
    from stackgen.engine import Engine
    from stackgen.hubapi import Hub
    from stackgen.output import result, say
    from stackgen.stack import Stack

    text = people.exported(Hub.of(Stack.at(directory).settings, Engine()).people())
    if file:
        people.write_private(file, text)
        say(f"{file} is written, and only you can read it")
    else:
        result(text.removesuffix("\n"))


@users.command()
def alias(
    login: Annotated[str | None, typer.Argument(help="User name at the provider.")] = None,
    name: Annotated[str | None, typer.Argument(help="User name here.")] = None,
    directory: Directory = HERE,
    listed: Annotated[bool, typer.Option("--list", help="List the aliases.")] = False,
    removed: Annotated[str | None, typer.Option("--remove", metavar="LOGIN", help="Take an alias away.")] = None,
    as_json: Json = False,
) -> None:
    """Let whoever logs in as LOGIN at the provider be the user NAME here, with NAME's volume."""
    from stackgen import people
    from stackgen.engine import Engine
    from stackgen.errors import USAGE, StackgenError
    from stackgen.hubapi import Hub
    from stackgen.output import result, say, table
    from stackgen.stack import Stack

    if (bool(login and name), listed, removed is not None).count(True) != 1 or bool(login) != bool(name):
        raise StackgenError(
            "one thing at a time",
            "stackgen users alias LOGIN NAME, stackgen users alias --list, or stackgen users alias --remove LOGIN",
            USAGE,
        )
    settings = Stack.at(directory).settings
    if settings.login.passwords:
        raise StackgenError(
            f"with AUTH={settings['AUTH']} nobody logs in at a provider", "aliases need another AUTH", USAGE
        )
    hub = Hub.of(settings, Engine())
    if listed:
        aliases = hub.aliases()
        if as_json:
            result(json.dumps(aliases, indent=2, ensure_ascii=False))
        elif aliases:
            result(table(("login", "user"), map(list, aliases.items())))
        else:
            say("there are no aliases")
    elif removed is not None:
        if not hub.remove_alias(removed):
            raise StackgenError(f"there is no alias {removed}", "see: stackgen users alias --list")
        say(f"whoever logs in as {removed} is no longer another user")
    elif login and name:
        name = people.checked_name(settings, name)
        new = "" if hub.person(name) else ", whom the hub does not know yet"
        hub.set_alias(login, name)
        say(f"whoever logs in as {login} is {name}{new}")
