"""Rendered files against the stack directory: what is new, changed, the user's own, in conflict or left over.

`.stackgen/rendered/` holds a copy of each file as it was last rendered. A file that differs from its copy was edited by
the user, and is never overwritten.
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from stackgen.render import is_operators

RENDERED = ".stackgen/rendered"
OFFERED = ".stackgen/offered"  # a copy of each FILE.new as it was written: one that differs is the user's


class State(Enum):
    """What a render would do to a file, in words for the table that users see."""

    NEW = "new"
    SAME = "same"
    CHANGED = "changed"
    EDITED = "edited by you, kept"
    CONFLICT = "edited by you and changed"
    ORPHAN = "no longer used"
    EDITED_ORPHAN = "no longer used, edited by you, kept"


@dataclass(frozen=True)
class Change:
    """One file: its path below the stack directory, and its content now, when last rendered, and now rendered."""

    path: str
    state: State
    mine: bytes | None
    base: bytes | None
    new: bytes | None

    def diff(self) -> str:
        """A unified diff from the file on disk to the rendered one."""
        old, new = (
            (content or b"").decode(errors="replace").splitlines(keepends=True) for content in (self.mine, self.new)
        )
        return "".join(difflib.unified_diff(old, new, self.path, f"{self.path} (rendered)"))


def compare(files: Mapping[str, bytes], directory: Path) -> list[Change]:
    """Each rendered or formerly rendered file with its state, by path. Reads only."""
    rendered = directory / RENDERED
    known = (
        {str(path.relative_to(rendered)) for path in rendered.rglob("*") if path.is_file()}
        if rendered.is_dir()
        else set()
    )
    changes = []
    for path in sorted(known | set(files)):
        mine, base, new = read(directory / path), read(rendered / path), files.get(path)
        changes.append(Change(path, _state(path, mine, base, new), mine, base, new))
    return changes


def _state(path: str, mine: bytes | None, base: bytes | None, new: bytes | None) -> State:
    if new is None:
        untouched = mine == base or mine is None
        return State.ORPHAN if untouched and not is_operators(path) else State.EDITED_ORPHAN
    if is_operators(path):
        return State.NEW if mine is None and base is None else State.SAME
    if mine is None:
        return State.NEW
    if mine == new:
        return State.SAME
    if base is None or mine != base:
        return State.EDITED if new == base else State.CONFLICT
    return State.CHANGED


def read(path: Path) -> bytes | None:
    """A file's content, or None if there is no such file."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
