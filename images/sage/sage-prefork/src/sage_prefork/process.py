"""A forked kernel, as the Jupyter server sees it."""

import os
import select
import signal
import socket
import subprocess
import time
from collections.abc import Callable

from sage_prefork import messages

# How long a preforking process that is alive may need to tell it. Mostly none, but seconds while it loads Maxima on a
# busy machine; if it hangs, the server must learn of the kernel's end all the same.
EXIT_CODE_SECONDS = 60.0


class ForkedKernel:
    """In the place of subprocess.Popen, for a process that is not a child of this one."""

    stdin = stdout = stderr = None

    def __init__(self, pid: int, pidfd: int, connection: socket.socket, parent_alive: Callable[[], bool]) -> None:
        """The connection tells the exit code. The kernel ends when it is closed, and so with this server."""
        self.pid = pid
        self.returncode: int | None = None
        self._pidfd = pidfd
        self._connection = connection
        self._connection.setblocking(False)
        self._parent_alive = parent_alive
        self._found_dead: float | None = None
        self._poller = select.poll()
        self._poller.register(pidfd, select.POLLIN)

    def poll(self) -> int | None:
        """The exit code as of subprocess.Popen, or None while the kernel runs."""
        if self.returncode is None and self._poller.poll(0):
            self._found_dead = self._found_dead or time.monotonic()
            # Asked before the look at what it may have told last. The connection need not close with it: what the
            # kernel has forked keeps that open.
            awaited = self._parent_alive() and time.monotonic() < self._found_dead + EXIT_CODE_SECONDS
            try:
                message, _ = messages.receive(self._connection, 0)
                self.returncode = int(message["exit"])
            except BlockingIOError:
                if awaited:
                    return None
                self.returncode = -signal.SIGKILL
            except (OSError, EOFError, ValueError, LookupError):
                self.returncode = -signal.SIGKILL  # nobody is left who knows it
            os.close(self._pidfd)
            self._connection.close()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The exit code. Raises subprocess.TimeoutExpired after so many seconds."""
        end = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            if end is not None and time.monotonic() > end:
                raise subprocess.TimeoutExpired("the kernel", timeout or 0)
            time.sleep(0.02)
        return code

    def send_signal(self, number: int) -> None:
        """To this process, never to another that has got its id since."""
        if self.poll() is None:
            signal.pidfd_send_signal(self._pidfd, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)
