"""Which stackgen rendered a stack directory, and what another one may do there."""

import re
from pathlib import Path

from stackgen import __version__
from stackgen.changes import RENDERED, read
from stackgen.errors import StackgenError

RECORD = ".stackgen/version"
FIRST = "0.1.0"  # it kept no record


def number(version: str) -> tuple[int, int, int]:
    """A version such as 0.2.0 as it is ordered. Raises ValueError for any other form."""
    match = re.fullmatch(r"(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)", version, flags=re.ASCII)
    if not match:
        raise ValueError(f"{version!r} is no version")
    return int(match[1]), int(match[2]), int(match[3])


def rendered_by(directory: Path) -> str:
    """The version that rendered this stack directory; this one's if none has yet. Raises StackgenError if unclear."""
    content = read(directory / RECORD)
    if content is None:
        return FIRST if (directory / RENDERED).is_dir() else __version__
    version = content.decode("ascii", errors="replace").strip()
    try:
        number(version)
    except ValueError:
        raise StackgenError(
            f"{directory / RECORD} does not say which stackgen rendered this stack",
            f"write the version into it, such as {__version__}, or bring the file back from a backup",
        ) from None
    return version


def is_older(directory: Path) -> bool:
    """Whether an older stackgen rendered it."""
    return number(rendered_by(directory)) < number(__version__)


def is_newer(directory: Path) -> bool:
    """Whether a newer stackgen rendered it."""
    return number(rendered_by(directory)) > number(__version__)


def refuse_newer(directory: Path) -> None:
    """Raise StackgenError where a newer stackgen has rendered: nothing is ever taken back to an older form."""
    if is_newer(directory):
        version = rendered_by(directory)
        raise StackgenError(
            f"stackgen {version} rendered this stack, and this is stackgen {__version__}: a downgrade is refused, "
            "because an older version knows neither the newer one's settings nor its database",
            f"install stackgen {version}; `stackgen rollback` goes back to what ran before the last upgrade",
        )
