"""The announcement: in .env, and in the file that the hub reads for each page."""

from stackgen.apply import apply
from stackgen.render import ANNOUNCEMENT
from stackgen.rendering import conflict, pending
from stackgen.stack import Stack


def announce(stack: Stack, text: str) -> str:
    """Show this line on every page of the hub from now on, or none if it is empty; what pages show, as it is stored.

    Line breaks become blanks, and `'`, which .env cannot hold, the apostrophe of print. May be repeated. Raises
    StackgenError, with nothing changed, for a text that is too long or cannot be stored.
    """
    line = " ".join(text.split()).replace("'", "\N{RIGHT SINGLE QUOTATION MARK}")
    if line != stack.settings["ANNOUNCEMENT"]:
        stack = stack.store(ANNOUNCEMENT=line)
    written = apply([change for change in pending(stack) if change.path == ANNOUNCEMENT], stack.directory)
    if written.conflicts:
        raise conflict(written)
    return line
