"""`stackgen tls`: verbs and flags, nothing else; what a verb needs is imported when it runs."""

import json
from typing import Annotated

import typer

from stackgen.cli_options import HERE, Directory, Json

tls = typer.Typer(
    help="The site's certificate. Needs the stack up.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@tls.command()
def status(directory: Directory = HERE, as_json: Json = False) -> None:
    """Show the certificate. Exits 1 if it has expired, is not DOMAIN's, is not served, or never came."""
    from stackgen import tls as certificates
    from stackgen.engine import Engine
    from stackgen.errors import StackgenError
    from stackgen.output import result
    from stackgen.stack import Stack

    stack = Stack.at(directory)
    found = certificates.status(stack, Engine())
    result(json.dumps(found.data(), indent=2, ensure_ascii=False) if as_json else found.text())
    if problems := list(found.problems(stack.settings)):
        raise StackgenError(problems)


@tls.command()
def renew(
    directory: Directory = HERE,
    force: Annotated[bool, typer.Option("--force", help="TLS=acme: although the certificate is fresh.")] = False,
) -> None:
    """Get another certificate now: from the authority (acme), or made here (self-signed). No connection is dropped."""
    from stackgen import tls as certificates
    from stackgen.engine import Engine
    from stackgen.output import say
    from stackgen.stack import Stack

    say(certificates.renew(Stack.at(directory), Engine(), force=force))


@tls.command()
def reload(directory: Directory = HERE) -> None:
    """Serve the certificate that is there now, such as new files with TLS=files. No connection is dropped."""
    from stackgen import tls as certificates
    from stackgen.engine import Engine
    from stackgen.output import say
    from stackgen.stack import Stack

    certificates.reload(Stack.at(directory), Engine())
    say("nginx serves the certificate that is in place")
