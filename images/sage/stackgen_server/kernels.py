"""Kernels that die before the server does when memory runs out, and whose users learn why."""

import asyncio
import os
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from signal import SIGKILL
from typing import Any, ClassVar

from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager, ServerKernelManager
from sage_prefork.provisioner import preforker

from stackgen_server import memory
from stackgen_server.texts import text

# Out of 1000, the whole limit. The largest process dies, and a kernel counts for this much more than it holds, so that
# the server outlives all kernels. A terminal counts for as much: see profile.sh.
OOM_SCORE_ADJ = 300


@dataclass(eq=False)
class Note:
    """What a user has to be told, and under which cell: the id of its execute_request, None while that is open."""

    text: str
    cell: str | None = None


class KernelManager(ServerKernelManager):
    """Starts a kernel by whatever provisioner its specification names, and notices when memory ran out for it."""

    accounted: ClassVar[int] = 0
    """How many of _oom_kills() need not be told any more, for all kernels of this server."""

    note: Note | None = None
    _dead = False
    _seen = (0, 0)

    async def _async_launch_kernel(self, kernel_cmd: list[str], **kw: Any) -> None:
        # Milliseconds until a socket tries again whether the kernel listens yet; 100 are as long as a fork takes.
        self.context.reconnect_ivl = 20
        if not self.parent._kernels:
            KernelManager.accounted = _oom_kills()  # of what was killed before there was nobody to be told
        await super()._async_launch_kernel(kernel_cmd, **kw)
        self.execution_state, self._dead = "starting", False
        with suppress(OSError):  # it has died already
            Path(f"/proc/{self.provisioner.pid}/oom_score_adj").write_text(str(OOM_SCORE_ADJ))

    async def _async_cleanup_resources(self, restart: bool = False) -> None:
        # Sage leaves processes behind that wait for its programs to end, and hold the kernel's memory for up to 40 s.
        with suppress(ProcessLookupError):
            if self.provisioner and self.provisioner.pgid:
                os.killpg(self.provisioner.pgid, SIGKILL)
        await super()._async_cleanup_resources(restart)

    async def _async_is_alive(self) -> bool:
        alive = await super()._async_is_alive()
        seen = kills, accounted = _oom_kills(), KernelManager.accounted
        if not alive:
            if kills > accounted and not self._dead and self.has_kernel and await self.provisioner.poll() == -SIGKILL:
                self._note("killed", 1)
            self._dead = True
        # Two looks, because the death is counted before its process is gone.
        elif kills > accounted and seen == self._seen and await self._is_to_be_told():
            self._note("other", kills - accounted)
        self._seen = seen
        return alive

    is_alive = _async_is_alive

    async def _is_to_be_told(self) -> bool:
        """Whether it was a program that was killed, because no kernel was, and most likely a program of this kernel."""
        kernels: list[KernelManager] = list(self.parent._kernels.values())
        if self is not max(kernels, key=_activity) or any(map(memory.is_exiting, preforker.pids)):
            return False
        return not any([await kernel._is_dying() for kernel in kernels])

    async def _is_dying(self) -> bool:
        """Whether this kernel's end is still to be noticed; one that holds much memory takes its time to end."""
        if self._dead or not self.has_kernel:
            return False
        return await self.provisioner.poll() is not None or memory.is_exiting(self.provisioner.pid)

    def _note(self, what: str, kills: int) -> None:
        KernelManager.accounted += kills
        self.note = Note(text(what, kernel=self.kernel_spec.display_name, limit=memory.LIMIT // 2**20))
        self.log.warning("Memory ran out while kernel %s ran (%s).", self.kernel_id, what)


class MappingKernelManager(AsyncMappingKernelManager):
    """Jupyter Server's own, which can end a kernel also while that one starts again."""

    async def _async_shutdown_kernel(self, kernel_id: str, *args: Any, **options: Any) -> None:
        # jupyter_client 8 asks for the exception of a start that is still under way, which is an exception itself
        if kernel := self._kernels.get(kernel_id):
            await asyncio.wait([kernel.ready])
        await super()._async_shutdown_kernel(kernel_id, *args, **options)

    shutdown_kernel = _async_shutdown_kernel


def _oom_kills() -> int:
    """Without those of the preforking process, which goes first on purpose and without harm to anybody."""
    return memory.oom_kills() - preforker.killed


def _activity(kernel: KernelManager) -> tuple[bool, datetime]:
    """Orders kernels: the one that most likely needed the memory comes last."""
    return kernel.execution_state == "busy", kernel.last_activity
