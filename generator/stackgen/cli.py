"""Verbs and flags, nothing else; what a verb needs is imported when it runs, so that `--help` is instant."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from stackgen import __version__
from stackgen.cli_admins import admins
from stackgen.cli_announce import announcement
from stackgen.cli_backup import backup
from stackgen.cli_options import HERE, Directory, Json, Secrets
from stackgen.cli_publish import publication
from stackgen.cli_tls import tls
from stackgen.cli_upgrade import upgrades
from stackgen.cli_users import users
from stackgen.cli_volumes import volumes

app = typer.Typer(
    name="stackgen",
    help="JupyterHub with SageMath on your own server: generates a Docker Compose stack and looks after it.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.add_typer(admins)
app.add_typer(announcement)
app.add_typer(publication)
app.add_typer(users, name="users")
app.add_typer(backup, name="backup")
app.add_typer(tls, name="tls")
app.add_typer(volumes, name="volumes")
app.add_typer(upgrades)


def main() -> None:
    """The console script: errors that a user can mend are shown as such, and Ctrl-C is quiet."""
    from stackgen.errors import StackgenError

    try:
        app()
    except StackgenError as error:
        from stackgen.output import report

        report(error)
        sys.exit(error.exit_code)
    except OSError as error:
        from stackgen.output import report

        report(StackgenError(f"{error.filename or 'the system'}: {error.strerror or error}"))
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"stackgen {__version__}")
        raise typer.Exit


@app.callback()
def options(
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show each command that is run.")] = False,
    _: Annotated[bool, typer.Option("--version", help="Show the version.", callback=_version, is_eager=True)] = False,
) -> None:
    """JupyterHub with SageMath on your own server: generates a Docker Compose stack and looks after it."""
    if verbose:
        from stackgen import process

        process.verbose = True


@app.command()
def init(
    directory: Annotated[Path, typer.Argument(help="The stack directory; made if there is none.")] = HERE,
    domain: Annotated[str | None, typer.Option(help="Host name under which users reach the stack.")] = None,
    tls: Annotated[str | None, typer.Option(help="self-signed, acme, files or off.")] = None,
    auth: Annotated[
        str | None,
        typer.Option(help="Login: accounts, piculator, oidc, github, gitlab, google, azuread, cilogon, ldap or pam."),
    ] = None,
    admin: Annotated[str | None, typer.Option(help="User name of the first admin.")] = None,
    memory: Annotated[str | None, typer.Option(help="Memory of each user's server, such as 500M.")] = None,
    language: Annotated[str | None, typer.Option(help="Language of the pages: en or zh.")] = None,
    assignments: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any other setting; may be repeated.")
    ] = None,
    secrets: Secrets = None,
) -> None:
    """Write a stack directory, after a few questions. With no terminal nothing is asked."""
    from stackgen.apply import apply
    from stackgen.initialize import ask_on_terminal, initialize, parse_assignments, read_secrets
    from stackgen.journal import claim
    from stackgen.output import say
    from stackgen.rendering import conflict, pending

    flags = {
        "DOMAIN": domain, "TLS": tls, "AUTH": auth,
        "ADMIN_USERS": admin, "MEM_LIMIT": memory, "STACK_LANGUAGE": language,
    }  # fmt: skip
    given = {key: value for key, value in flags.items() if value} | parse_assignments(assignments or [])
    if secrets:
        given |= read_secrets(secrets)
    stack = initialize(directory, given, ask_on_terminal if sys.stdin.isatty() else None)
    changes = pending(stack)
    claim(stack.directory)
    report = apply(changes, stack.directory)
    if report.conflicts:
        raise conflict(report)
    settings = stack.settings
    change = f"cd {stack.directory}\n  " if stack.directory != Path.cwd() else ""
    say(f"\nThe stack is in {stack.directory}. Next:\n\n  {change}docker compose up -d --wait")
    if settings.login.passwords or not settings.admins:
        say(f"  stackgen add-admin {settings.admins[0] if settings.admins else 'NAME'}")
    say(f"\nthen open {settings.url}")
    if settings.login.oauth:
        say(f"Register this address at {settings.login.provider}: {settings.callback_url}")


@app.command()
def render(
    directory: Directory = HERE,
    diff: Annotated[bool, typer.Option("--diff", help="Show the differences and write nothing.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit 3 if something would change.")] = False,
    merge: Annotated[bool, typer.Option("--merge", help="Merge what is new into files that you edited.")] = False,
    keep_mine: Annotated[bool, typer.Option("--keep-mine", help="Keep files that you edited, and settle it.")] = False,
) -> None:
    """Write the stack's files anew after .env was edited. Files that you edited are kept."""
    from stackgen.apply import apply
    from stackgen.changes import State
    from stackgen.errors import CONFLICT
    from stackgen.journal import claim
    from stackgen.output import result, say
    from stackgen.rendering import change_table, conflict, pending
    from stackgen.stack import Stack

    stack = Stack.at(directory)
    changes = pending(stack)
    shown = change_table(changes)
    if shown:
        result(shown)
    if diff:
        for change in changes:
            if change.state in (State.CHANGED, State.NEW, State.CONFLICT):
                result(change.diff())
    would_change = any(change.state not in (State.SAME, State.EDITED, State.EDITED_ORPHAN) for change in changes)
    if diff or check:
        raise typer.Exit(CONFLICT if check and would_change else 0)
    claim(stack.directory)
    report = apply(changes, stack.directory, merge=merge, keep_mine=keep_mine)
    for path in report.merged:
        say(f"merged {path}")
    if report.conflicts:
        raise conflict(report)
    say("take effect with: stackgen up" if would_change else "nothing to do: every file is as .env says")


@app.command()
def up(directory: Directory = HERE) -> None:
    """Build and start the stack, and wait until the login page answers."""
    from stackgen import lifecycle
    from stackgen.engine import Engine
    from stackgen.output import result, say
    from stackgen.stack import Stack

    stack = Stack.at(directory)
    lifecycle.up(stack, Engine())
    if not stack.settings.admins:
        say("there is no admin yet: stackgen add-admin NAME")
    result(stack.settings.url)


@app.command()
def down(directory: Directory = HERE) -> None:
    """Stop the stack and its users' servers. No volume is removed."""
    from stackgen import lifecycle
    from stackgen.engine import Engine
    from stackgen.output import say
    from stackgen.stack import Stack

    stopped = lifecycle.down(Stack.at(directory), Engine())
    say(f"stopped, and {stopped} running servers of users with it; every volume is kept")


@app.command()
def status(directory: Directory = HERE, as_json: Json = False) -> None:
    """Show how the stack is. Exits 1 if users cannot work."""
    from stackgen.engine import Engine
    from stackgen.journal import due
    from stackgen.last_backup import last_backup
    from stackgen.output import result, say
    from stackgen.stack import Stack
    from stackgen.status import status as ask

    stack = Stack.at(directory)
    answer, backup = ask(stack.settings, Engine()), last_backup(stack)
    result(
        json.dumps(answer.data() | {"backup": backup.data()}, indent=2, ensure_ascii=False)
        if as_json
        else f"{answer.text()}\n{backup.text()}"
    )
    if upgrade := due(stack.directory):
        say(f"{upgrade.message}: see stackgen upgrade --check")
    raise typer.Exit(0 if answer.healthy else 1)


@app.command()
def logs(
    services: Annotated[
        list[str] | None, typer.Argument(help="hub, nginx, sage or certbot; all if none is named.")
    ] = None,
    directory: Directory = HERE,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as new lines come.")] = False,
    tail: Annotated[str, typer.Option(help="Lines of each service, or all.")] = "100",
) -> None:
    """Show the services' logs."""
    from stackgen import compose
    from stackgen.stack import Stack

    stack = Stack.at(directory)
    compose.run(compose.logs(stack.directory, services or [], follow=follow, tail=tail), stdout=True)


@app.command()
def url(directory: Directory = HERE) -> None:
    """Print the stack's address."""
    from stackgen.output import result
    from stackgen.stack import Stack

    result(Stack.at(directory).settings.url)


@app.command()
def smoke(
    directory: Directory = HERE,
    user: Annotated[str | None, typer.Option(help="Sign in as this user instead of a throw-away one.")] = None,
    password_stdin: Annotated[bool, typer.Option("--password-stdin", help="Read that user's password.")] = False,
    as_json: Json = False,
) -> None:
    """Prove that the stack works: sign in, start a server, compute in a Sage kernel."""
    from stackgen import smoke as proving
    from stackgen.engine import Engine
    from stackgen.errors import USAGE, StackgenError
    from stackgen.front import FrontDoor
    from stackgen.hubapi import Hub
    from stackgen.output import result, table
    from stackgen.passwords import asked_password
    from stackgen.people import checked_name
    from stackgen.stack import Stack

    settings, engine = Stack.at(directory).settings, Engine()
    if user and settings.login.oauth:
        raise StackgenError(
            f"with AUTH={settings['AUTH']} people sign in at the provider, which only a browser can do",
            "leave out --user: a throw-away user with an API token proves the stack",
            USAGE,
        )
    front = FrontDoor.of(settings, engine)
    if user:
        name = checked_name(settings, user)
        password = sys.stdin.readline().rstrip("\n") if password_stdin else asked_password(twice=False)
        proof = proving.prove(front, name, password)
    else:
        with proving.visitor(settings, engine, Hub.of(settings, engine)) as (name, secret):
            proof = proving.prove(front, name, secret, by_token=not settings.login.passwords)
    if as_json:
        result(json.dumps({"result": proof.result, "seconds": proof.seconds}, indent=2))
        return
    result(table(("step", "seconds"), [[step, f"{taken:.1f}"] for step, taken in proof.seconds.items()]))
    result(f"\n{proving.CODE}\n{proof.result}")


@app.command("base-image")
def base_image(
    directory: Directory = HERE,
    image: Annotated[str | None, typer.Option(help="Its name; BASE_IMAGE of the stack, if not given.")] = None,
    mirror: Annotated[str | None, typer.Option(help="Debian mirror; APT_MIRROR of the stack, if not given.")] = None,
    pull: Annotated[bool, typer.Option("--pull", help="Try the image's registry first.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Build it even if it is there.")] = False,
) -> None:
    """Build the Debian base of all images from a Debian mirror, where no registry can be reached."""
    from stackgen import base_image as base
    from stackgen.machine import check_docker
    from stackgen.output import say
    from stackgen.settings_table import BY_KEY
    from stackgen.stack import Stack

    stack = Stack(directory.resolve())
    settings = stack.settings if stack.env.exists() else {}
    image = image or settings.get("BASE_IMAGE") or BY_KEY["BASE_IMAGE"].default
    check_docker()
    if base.exists(image) and not force:
        say(f"{image} is there already; --force builds it anew")
        return
    if not (pull and base.pull(image)):
        base.build(image, mirror or settings.get("APT_MIRROR") or "")
    say(f"{image} is ready")
