"""The memory of this container: its limit, what is used of it, and how often it ran out.

All sizes are bytes. Both versions of control groups are read: names of files and keys are those of
https://docs.kernel.org/admin-guide/cgroup-v2.html and https://docs.kernel.org/admin-guide/cgroup-v1/memory.html
"""

import os
from pathlib import Path
from signal import SIGKILL

V1, V2 = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")

PF_EXITING = 0x4  # of Linux's include/linux/sched.h

LIMIT = int(os.environ.get("MEM_LIMIT", 0))
"""What the hub allows this server; 0 where nothing limits it."""


def used() -> int:
    """What processes hold of the limit. Copies of files are left out: the kernel drops them when memory is short.

    Raises OSError where no account is kept of memory, as on a Raspberry Pi without cgroup_enable=memory.
    """
    if V1.is_dir():
        usage, cached = V1 / "memory.usage_in_bytes", ("total_active_file", "total_inactive_file")
        counters = _counters(V1 / "memory.stat")
    else:
        usage, cached = V2 / "memory.current", ("active_file", "inactive_file")
        counters = _counters(V2 / "memory.stat")
    return int(usage.read_text()) - sum(counters[key] for key in cached)


def oom_kills() -> int:
    """How many processes the kernel has killed because the limit was reached, since this container started.

    0 where no account is kept of memory, because no limit can be set there either.
    """
    try:
        return _counters(V1 / "memory.oom_control" if V1.is_dir() else V2 / "memory.events")["oom_kill"]
    except FileNotFoundError:
        return 0


def is_exiting(pid: int) -> bool:
    """Whether a process has been killed and is not gone yet.

    By pending signals and flags (PF_EXITING) in https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:  # gone
        return True
    flags, pending = int(fields[6]), int(fields[28])
    return bool(flags & PF_EXITING or pending & 1 << SIGKILL - 1)


def _counters(path: Path) -> dict[str, int]:
    return {key: int(value) for key, value in map(str.split, path.read_text().splitlines())}
