"""The preforking process: imports Sage, and forks a kernel for each request. `python -m sage_prefork.server`

Standard input is the control socket to the Jupyter server. When that has ended or has closed it, this process ends with
its last kernel.
"""

import contextlib
import os
import random
import selectors
import signal
import site
import socket
import sys
import time
from pathlib import Path
from typing import Any

from sage_prefork import messages, preload
from sage_prefork.kernel import Kernel, run

IDLE_SECONDS = float(os.environ.get("SAGE_PREFORK_IDLE", "600"))  # without any kernel, until it ends
PRELOAD_SECONDS = float(os.environ.get("SAGE_PREFORK_PRELOAD", "10"))  # between two looks at what the kernels use
# It loads nothing while the machine's load is higher. There it is the machine that counts, not this container.
BUSY_LOAD = float(os.environ.get("SAGE_PREFORK_BUSY", 0.75 * (os.cpu_count() or 1)))


class Server:
    """Forks the kernels, and waits for their end."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._kernels: dict[int, tuple[int, socket.socket]] = {}  # by pidfd: process id, and socket to the provisioner
        self._selector = selectors.DefaultSelector()
        self._selector.register(control, selectors.EVENT_READ)
        self._preload = preload.Preload()
        self._installed = _installed()
        self._asked_to_leave = False

    def serve(self) -> Kernel | None:
        """The kernel to become, in each forked process; None in this one, when there is nothing left to do."""
        patience = time.monotonic() + IDLE_SECONDS
        while True:
            # not all servers of a machine at the same moment
            seconds = PRELOAD_SECONDS * random.uniform(1, 2) if self._kernels else patience - time.monotonic()  # noqa: S311
            ready = [key.fileobj for key, _ in self._selector.select(max(0, seconds))]
            for pidfd in self._kernels.keys() & set(ready):
                self._bury(pidfd)
                patience = time.monotonic() + IDLE_SECONDS
            if self._control in ready and (kernel := self._take_request()):
                return kernel
            if not self._kernels and (self._asked_to_leave or time.monotonic() >= patience):
                return None
            if not ready and os.getloadavg()[0] <= BUSY_LOAD:
                self._preload_one()

    def _take_request(self) -> Kernel | None:
        """In a forked process the kernel to become, else None."""
        try:
            message, (connection, *streams) = messages.receive(self._control, 4)
        except (EOFError, ConnectionError):
            self._asked_to_leave = True
            self._selector.unregister(self._control)
            return None
        kernel = Kernel(**message, streams=streams, connection=socket.socket(fileno=connection))
        if answer := self._refusal():
            messages.send(kernel.connection, answer)
            kernel.close()
            return None
        sys.stdout.flush()
        sys.stderr.flush()
        try:
            pid = os.fork()
        except OSError as error:
            messages.send(kernel.connection, {"refused": f"cannot fork ({error})"})
            kernel.close()
            return None
        if pid == 0:
            self._close()
            return kernel
        pidfd = os.pidfd_open(pid)
        self._kernels[pidfd] = pid, kernel.connection
        self._selector.register(pidfd, selectors.EVENT_READ)
        with contextlib.suppress(OSError):  # nobody waits any more, so the kernel will find its connection closed
            messages.send(kernel.connection, {"pid": pid}, [pidfd])
        for stream in streams:
            os.close(stream)
        return None

    def _refusal(self) -> dict[str, Any] | None:
        """The answer to a request that should not be fulfilled."""
        if _installed() != self._installed:
            return {"outdated": True}
        threads = len(list(Path("/proc/self/task").iterdir()))
        if threads > 1:
            return {"refused": f"has {threads} threads, and forking it could make kernels hang"}
        return None

    def _bury(self, pidfd: int) -> None:
        """Take note of a kernel's end, and tell its exit code.

        The helpers of Sage's interfaces may have outlived it. They would keep its ports, and it could not be restarted.
        """
        pid, connection = self._kernels.pop(pidfd)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        with contextlib.suppress(OSError):
            messages.send(connection, {"exit": os.waitstatus_to_exitcode(status)})
        self._selector.unregister(pidfd)
        os.close(pidfd)
        connection.close()

    def _preload_one(self) -> None:
        if load := self._preload.next_for(pid for pid, _ in self._kernels.values()):
            load()
            preload.settle()

    def _close(self) -> None:
        """Close what no kernel should have."""
        self._selector.close()
        self._control.close()
        for pidfd, (_, connection) in self._kernels.items():
            os.close(pidfd)
            connection.close()


def _installed() -> dict[str, int]:
    """When the folders of installed modules were last changed, in nanoseconds, by their paths."""
    folders = [Path(folder) for folder in (*sys.path[1:], site.getusersitepackages())]
    return {str(folder): folder.stat().st_mtime_ns for folder in folders if folder.exists()}


def main() -> None:
    """Run the preforking process, and in the forked processes the kernels."""
    control = socket.socket(fileno=os.dup(0))
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    Path("/proc/self/comm").write_text("sage-prefork")
    # When memory runs out, this process goes first: its kernels go on without it, and use what it frees.
    oom_score_adj = Path("/proc/self/oom_score_adj")
    usual = oom_score_adj.read_text()
    oom_score_adj.write_text("1000")
    preload.load_kernel()
    preload.settle()
    if kernel := Server(control).serve():
        oom_score_adj.write_text(usual)
        run(kernel)


if __name__ == "__main__":
    main()
