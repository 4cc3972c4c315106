"""Folders that are open: whatever users do to names meanwhile, these stay the same folders."""

import ctypes
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

_LIBC = ctypes.CDLL(None, use_errno=True)


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
