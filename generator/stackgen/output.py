"""What the terminal shows: data on stdout, progress on stderr."""

import os
import sys
import unicodedata
from collections.abc import Iterable, Sequence

from stackgen.errors import StackgenError


def say(text: str) -> None:
    """Progress, for a person: one line on stderr."""
    print(text, file=sys.stderr, flush=True)


def result(text: str) -> None:
    """Data, for a person or a program: on stdout."""
    print(text, flush=True)


def report(error: StackgenError) -> None:
    """Print each problem of an error with its hint."""
    for problem in error.problems:
        say(f"{_red('error:')} {problem.message}")
        if problem.hint:
            say(f"hint: {problem.hint}")


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Left-aligned columns under a header; wide (Chinese) characters count as two cells."""
    lines = [list(header), *map(list, rows)]
    widths = [max(_cells(line[i]) for line in lines) for i in range(len(header))]
    return "\n".join(
        "  ".join(cell + " " * (width - _cells(cell)) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _cells(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def _red(text: str) -> str:
    if sys.stderr.isatty() and "NO_COLOR" not in os.environ:
        return f"\x1b[31m{text}\x1b[0m"
    return text
