"""`stackgen announce`: verb and flags; what it needs is imported when it runs."""

from typing import Annotated

import typer

from stackgen.cli_options import HERE, Directory

announcement = typer.Typer()


@announcement.command("announce")
def announce(
    text: Annotated[str | None, typer.Argument(help="One line of plain text, at most 300 characters.")] = None,
    clear: Annotated[bool, typer.Option("--clear", help="Take the announcement away.")] = False,
    directory: Directory = HERE,
) -> None:
    """Show a line of text on every page of the hub, at once and until it is taken away; with no text, print it."""
    from stackgen import announce
    from stackgen.errors import USAGE, StackgenError
    from stackgen.output import result, say
    from stackgen.stack import Stack

    stack = Stack.at(directory)
    if clear and text is not None:
        raise StackgenError("both a text and --clear were given", "give one of them", USAGE)
    if text is not None and not text.strip():
        raise StackgenError("the announcement is empty", "to take it away: stackgen announce --clear", USAGE)
    if clear:
        announce.announce(stack, "")
        say("there is no announcement any more")
    elif text is not None:
        announce.announce(stack, text)
        say(f"the hub's pages show it from now on, also {stack.settings.url}hub/login")
    elif stack.settings["ANNOUNCEMENT"]:
        result(stack.settings["ANNOUNCEMENT"])
    else:
        say("there is no announcement: stackgen announce TEXT")
