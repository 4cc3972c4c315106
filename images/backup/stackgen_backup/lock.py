"""Only one backup container of a stack works at a time."""

import contextlib
import fcntl
from collections.abc import Iterator

from stackgen_backup.places import STATE
from stackgen_backup.report import say


@contextlib.contextmanager
def held() -> Iterator[None]:
    """Hold the stack's lock, after whoever has it now. The kernel frees it when this process ends, however that is."""
    with (STATE / "lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another backup of this stack is at work; waiting for its end")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
