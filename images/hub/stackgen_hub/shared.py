"""The folder of course material, in a volume of its own: published anew while servers read it."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from stackgen_hub import unpack
from stackgen_hub.renaming import exchange
from stackgen_hub.unpack import STAGING, UID, Refused, compare

STAMP = ".stackgen-published"
"""A file as old as the last publication: what has changed since then, an admin has changed."""


def publish(volume: Path, tar: IO[bytes], *, replace: bool, delete: bool) -> dict[str, Any]:
    """Put what a tar holds into the volume; each file and folder at its top comes as a whole, or not at all.

    What is not in the tar stays, unless `delete` is set. Raises Refused, with nothing changed, if admins have changed
    what would go, unless `replace` is set.
    """
    os.chown(volume, UID, UID)
    with unpack.staging(volume) as folder:
        unpack.unpack(tar, folder, links_out=False)
        wanted, there = _names(folder), _names(volume)
        same = {name for name in wanted & there if _same(folder, volume, name)}
        going = sorted((wanted & there - same) | (there - wanted if delete else set()))
        edited = [path for name in going for path in _edited(volume, name)]
        if edited and not replace:
            raise Refused(
                "admins have changed the shared folder since it was published",
                "copy what you want to keep; --replace puts the new ones in their place",
                edited,
                conflict=True,
            )
        for name in sorted(wanted - there):
            (folder / name).rename(volume / name)
        for name in going:
            if name in wanted:
                exchange(folder / name, volume / name)
            else:
                (volume / name).rename(folder / name)
        (folder / STAMP).touch()
        (folder / STAMP).replace(volume / STAMP)
    return {
        "new": sorted(wanted - there),
        "replaced": sorted(wanted & there - same),
        "same": sorted(same),
        "removed": sorted(there - wanted) if delete else [],
        "kept": [] if delete else sorted(there - wanted),
    }


def clear(volume: Path) -> None:
    """Take everything away, also from servers that have the folder now."""
    with unpack.staging(volume) as folder:
        for name in (*_names(volume), STAMP):
            if os.path.lexists(volume / name):
                (volume / name).rename(folder / name)


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.name != STAMP and not path.name.startswith(STAGING)}


def _same(one: Path, other: Path, name: str) -> bool:
    """Whether this entry of both folders is the same through and through."""
    for here, there in ((one, other), (other, one)):
        found = compare(here, there, only=name)
        if found.new or found.other or found.clash:
            return False
    return True


def _edited(volume: Path, name: str) -> Iterator[str]:
    """The files below this entry that have changed since the last publication."""
    stamp = volume / STAMP
    since = stamp.lstat().st_ctime_ns if stamp.exists() else 0
    path = volume / name
    found = [path] if path.is_symlink() or not path.is_dir() else path.rglob("*")
    for file in found:
        if (file.is_symlink() or not file.is_dir()) and file.lstat().st_ctime_ns > since:
            yield str(file.relative_to(volume))
