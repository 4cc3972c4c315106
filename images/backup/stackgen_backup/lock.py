"""Only one backup container of a stack works at a time; and which of the repository's locks are the stack's own.

Each container has a host name of its own, which restic's locks carry. Those of containers that have not ended by
themselves are remembered here, on this machine: another may have a copy of the stack, whose backups are at work.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator

from stackgen_backup.places import STATE
from stackgen_backup.report import say

HOSTS = STATE / "hosts"
MOST = 50  # killed containers that are remembered; the locks of older ones are stale to restic itself


@contextlib.contextmanager
def held() -> Iterator[list[str]]:
    """Hold the stack's lock, after whoever has it now: the containers that were killed and may have left restic's.

    The kernel frees it when this process ends, however that is.
    """
    with (STATE / "lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another backup of this stack is at work; waiting for its end")
            fcntl.flock(file, fcntl.LOCK_EX)
        killed = hosts()
        _remember([*killed, os.uname().nodename])
        yield killed
        _remember([name for name in hosts() if name != os.uname().nodename])


def hosts() -> list[str]:
    """The containers of this stack that hold a lock of the repository, or were killed and left one, by host names."""
    try:
        return HOSTS.read_text().split()
    except FileNotFoundError:
        return []


def forget_killed() -> None:
    """Note that those which were killed have left nothing any more."""
    _remember([os.uname().nodename])


def _remember(names: list[str]) -> None:
    new = HOSTS.with_suffix(".new")
    with contextlib.suppress(OSError):  # a full disk: then a lock that is left counts as somebody else's
        new.write_text("\n".join(names[-MOST:]))
        new.replace(HOSTS)
