"""What a user's volume holds, and what it may hold. All sizes are bytes.

Where the file system enforces the quota it knows both, and nothing has to be measured. Elsewhere the files are added
up, by a program of its own at the lowest priority, so that nobody waits for it.
"""

import asyncio
import os
import time
from pathlib import Path

from stackgen_server.texts import text

QUOTA = int(os.environ.get("VOLUME_QUOTA", 0))
"""VOLUME_QUOTA of the stack; 0 where there is none."""

NEARLY = 0.9  # the share of an enforced quota from which on users are warned
SELDOM = 600  # seconds between two measurements at least, and 50 times as long as one takes


class Volume:
    """The volume of this server's user, measured seldom."""

    def __init__(self, path: Path, quota: int) -> None:
        self.path, self.quota = path, quota
        self.seldom: float = SELDOM  # seconds until it is to be measured again
        self._warning = ""
        self._measured: float | None = None
        self._lock = asyncio.Lock()

    async def warning(self) -> str:
        """What the user has to be told, in the language of the stack; empty if all is well or nothing is known."""
        if not self.quota:
            return ""
        async with self._lock:
            if self._measured is None or time.monotonic() - self._measured >= self.seldom:
                begin = time.monotonic()
                self._warning = await self._find_warning()
                self._measured = time.monotonic()
                self.seldom = max(SELDOM, 50 * (self._measured - begin))
        return self._warning

    async def _find_warning(self) -> str:
        system = os.statvfs(self.path)
        limit = system.f_blocks * system.f_frsize
        if limit <= self.quota:  # to a volume with a project quota its file system seems as large as that
            used = limit - system.f_bfree * system.f_frsize
            return text("nearly full", used=_shown(used), quota=_shown(limit)) if used > NEARLY * limit else ""
        used = await self._measure()
        return text("above quota", used=_shown(used), quota=_shown(self.quota)) if used > self.quota else ""

    async def _measure(self) -> int:
        """What all files take up, without other volumes inside; 0 if du could not tell."""
        exclude = [f"--exclude={mount}" for mount in mounts_below(self.path)]
        du = await asyncio.create_subprocess_exec(
            "nice", "-n", "19", "du", "--summarize", "--block-size=1", *exclude, str(self.path),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        said, _ = await du.communicate()
        return int(said.split()[0]) if said else 0


def mounts_below(path: Path, mountinfo: Path = Path("/proc/self/mountinfo")) -> list[str]:
    """Where other volumes are mounted below a folder; the fifth field of proc_pid_mountinfo(5)."""
    mounts = [line.split()[4] for line in mountinfo.read_text().splitlines()]
    return [mount for mount in mounts if mount.startswith(f"{path}/")]


def _shown(size: int) -> str:
    return f"{size / 2**30:.1f} GB" if size >= 2**30 else f"{size / 2**20:.0f} MB"
