"""Puts what was restored into its place in one step, so that whoever looks sees the old or the new, and a crash too."""

import ctypes
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

_LIBC = ctypes.CDLL(None, use_errno=True)
NO_REPLACE, EXCHANGE = 1, 2  # renameat2(2)


def exchange(old: int, old_name: str, new: int, new_name: str) -> None:
    """Let two names, each in an open folder, change places."""
    _rename(old, old_name, new, new_name, EXCHANGE)


def place(old: int, old_name: str, new: int, new_name: str) -> None:
    """Move a name from an open folder into another, where it must not be there yet (FileExistsError)."""
    _rename(old, old_name, new, new_name, NO_REPLACE)


def _rename(old: int, old_name: str, new: int, new_name: str, flags: int) -> None:
    if _LIBC.renameat2(old, os.fsencode(old_name), new, os.fsencode(new_name), flags):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), old_name, None, new_name)


def sync(folder: int) -> None:
    """Wait until the file system of an open folder has written everything to its disk."""
    if _LIBC.syncfs(folder):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


@contextmanager
def opened(path: str | Path, inside: int | None = None) -> Iterator[int]:
    """A folder, opened; never a symbolic link, because users can make some that lead elsewhere."""
    number = os.open(path, os.O_DIRECTORY | os.O_NOFOLLOW | os.O_RDONLY, dir_fd=inside)
    try:
        yield number
    finally:
        os.close(number)


@contextmanager
def beneath(root: Path, parts: tuple[str, ...], like: Path) -> Iterator[int]:
    """Open a folder below `root`, one part after the other.

    Folders that are missing are made, with mode and owner of those below `like`, which has all of them. Raises OSError.
    """
    with ExitStack() as stack:
        folder = stack.enter_context(opened(root))
        for number, part in enumerate(parts, start=1):
            try:
                os.mkdir(part, 0o700, dir_fd=folder)
            except FileExistsError:
                folder = stack.enter_context(opened(part, folder))
                continue
            folder = stack.enter_context(opened(part, folder))
            model = like.joinpath(*parts[:number]).lstat()
            os.fchown(folder, model.st_uid, model.st_gid)
            os.fchmod(folder, model.st_mode & 0o7777)
        yield folder
