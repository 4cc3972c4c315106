"""The only writer of rendered files."""

import os
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from stackgen.changes import OFFERED, RENDERED, Change, State, read
from stackgen.errors import MACHINE, StackgenError
from stackgen.versions import refuse_newer


@dataclass
class Report:
    """What was done: paths by what happened to them."""

    written: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    merged: list[str] = field(default_factory=list)
    conflicts: list[str] = field(default_factory=list)  # beside each of them stands PATH.new


def apply(changes: Iterable[Change], directory: Path, *, merge: bool = False, keep_mine: bool = False) -> Report:
    """Bring the stack directory up to date. The user's edits are never overwritten.

    A file in conflict stays, and the rendered one is written beside it as PATH.new, unless the user works in that file
    too. With `merge`, what was rendered anew is merged into the user's file, three ways, where both can be had; with
    `keep_mine` the user's file stands and the conflict is settled; with both, that is so where merging fails. Each file
    is replaced in one step, its copy in .stackgen/ after it, so that an interrupted run is finished by the next one.
    Raises StackgenError, with nothing changed, in a stack that a newer stackgen rendered.
    """
    refuse_newer(directory)
    report = Report()
    for change in changes:
        path, new = directory / change.path, change.new
        if new is None:
            if change.state is State.ORPHAN:
                path.unlink(missing_ok=True)
                report.removed.append(change.path)
            _withdraw(directory, change.path)
            (directory / RENDERED / change.path).unlink(missing_ok=True)
            continue
        if change.state in (State.NEW, State.CHANGED):
            write(path, new)
            report.written.append(change.path)
        elif change.state is State.CONFLICT and (merge or not keep_mine):
            merged, clean = merged_text(change) if merge else (new, False)
            if clean:
                write(path, merged)
                report.merged.append(change.path)
            elif not keep_mine:
                offer(directory, change.path, merged)
                report.conflicts.append(change.path)
                continue
        _withdraw(directory, change.path)
        if new != change.base:
            write(directory / RENDERED / change.path, new)
    return report


def offer(directory: Path, path: str, content: bytes) -> None:
    """Write PATH.new, unless what stands there was written by the user."""
    target, copy = directory / f"{path}.new", directory / OFFERED / path
    there = read(target)
    if there is not None and there != content and there != read(copy):
        return
    target.unlink(missing_ok=True)
    write(copy, content)
    write(target, content)


def _withdraw(directory: Path, path: str) -> None:
    """Remove PATH.new if it is as it was written."""
    target, copy = directory / f"{path}.new", directory / OFFERED / path
    written = read(copy)
    if written is not None:
        if read(target) == written:
            target.unlink()
        copy.unlink()


def merged_text(change: Change) -> tuple[bytes, bool]:
    """The three-way merge, and whether it went without a conflict; if not, the text holds conflict marks."""
    names = ("yours", "last rendered", "rendered")
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / name for name in names]
        for path, content in zip(paths, (change.mine, change.base, change.new), strict=True):
            path.write_bytes(content or b"")
        labels = [word for name in names for word in ("-L", name)]
        try:
            done = subprocess.run(["git", "merge-file", "-p", *labels, *paths], capture_output=True, check=False)
        except FileNotFoundError:
            raise StackgenError("--merge needs git", "apt-get install git", MACHINE) from None
    return done.stdout, done.returncode == 0


def write(path: Path, content: bytes, *, mode: int = 0o644, durable: bool = False) -> None:
    """Replace a file in one step; `durable` waits until it is on the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        Path(temporary).chmod(mode)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
