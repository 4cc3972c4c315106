"""Renaming in one step as Linux can and Python's `os` cannot: https://man7.org/linux/man-pages/man2/rename.2.html

The images of the hub and of backups hold this very file.
"""

import ctypes
import os
from pathlib import Path

NO_REPLACE, EXCHANGE = 1, 2  # flags of renameat2
HERE = -100  # AT_FDCWD: a name is not inside an open folder


def exchange(one: str | Path, other: str | Path, *, one_in: int = HERE, other_in: int = HERE) -> None:
    """Let two files or folders change places, each perhaps a name in an open folder: there is always one. OSError."""
    _rename(one_in, one, other_in, other, EXCHANGE)


def place(one: str, other: str, *, one_in: int, other_in: int) -> None:
    """Move a name from an open folder into another, where it must not be there yet (FileExistsError)."""
    _rename(one_in, one, other_in, other, NO_REPLACE)


def _rename(old_in: int, old: str | Path, new_in: int, new: str | Path, flags: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(old_in, os.fsencode(old), new_in, os.fsencode(new), flags):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(old), None, str(new))
