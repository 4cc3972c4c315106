"""Asking before something is destroyed."""

import sys

from stackgen.errors import USAGE, StackgenError


def confirm(what: str, name: str, *, yes: bool) -> None:
    """Let a name be typed before `what`, a sentence, is done. Raises StackgenError if it is not, or cannot be."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise StackgenError(f"nobody can be asked here, and {what[0].lower()}{what[1:]}", "use --yes", USAGE)
    print(f"{what}. To go on, type {name}: ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip() != name:
        raise StackgenError("that is not the name: nothing was removed")
