"""The Jupyter server's side: starts the preforking process, and asks it for kernels."""

import contextlib
import os
import signal
import socket
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sage_prefork import messages
from sage_prefork.process import ForkedKernel

# A process that is slow but works is waited for: when a class starts all at once, an import of Sage takes minutes, and
# a second one would not be faster. One that has used no processor for so many seconds hangs:
START_SECONDS = 60.0  # until its first kernel; the import waits for the disk as well
FORK_SECONDS = 15.0  # later
LONGEST_SECONDS = 300.0  # for one kernel, however hard it works
LOOK_SECONDS = 1.0  # between two looks at its work
# ipykernel keeps this from its import on; 1 means that no thread of it need look after the parent process
NO_PARENT = {"JPY_PARENT_PID": "1"}


class PreforkError(Exception):
    """The preforking process gave no kernel. The message says why; the process is the subject of the sentence."""


class Outdated(PreforkError):
    """The preforking process gives no more kernels, but a new one will."""


class NotNow(PreforkError):
    """The preforking process gives no kernel this time, but it or a new one may give the next."""


@dataclass(frozen=True)
class Interpreter:
    """What a preforking process has from the kernel that it is started for; another kernel needs a new process."""

    command: tuple[str, ...]
    environment: dict[str, str]


class PreforkingProcess:
    """One preforking process. It ends when it has no kernel and is told to leave, loses the server, or is idle."""

    def __init__(self, interpreter: Interpreter) -> None:
        """Start it. Raises OSError."""
        self.interpreter = interpreter
        self.has_forked = False
        self._given_up = False
        self._control, theirs = messages.pair()
        self._control.settimeout(FORK_SECONDS)
        with theirs:
            # away from the user's folders, whose files Python could take for modules of Sage
            self._process = subprocess.Popen(
                [*interpreter.command, "-m", "sage_prefork.server"],
                stdin=theirs.fileno(), env=interpreter.environment | NO_PARENT, cwd="/", start_new_session=True,
            )  # fmt: skip
        threading.Thread(target=self._process.wait, daemon=True).start()  # so that it never stays a zombie

    @property
    def pid(self) -> int:
        return self._process.pid

    def alive(self) -> bool:
        """Whether it is not yet known to have ended."""
        return self._process.poll() is None

    def was_killed(self) -> bool:
        """Whether somebody else has killed it: the system does when memory runs out."""
        return self._process.poll() == -signal.SIGKILL and not self._given_up

    def tell_to_leave(self) -> None:
        """It forks no more kernels, and ends with its last one."""
        self._control.shutdown(socket.SHUT_WR)

    def fork(self, kernel: dict[str, Any], streams: list[int]) -> ForkedKernel:
        """A new kernel with these three standard streams. Raises PreforkError."""
        connection, theirs = messages.pair()
        try:
            with theirs:
                messages.send(self._control, kernel, [theirs.fileno(), *streams])
            return self._answer(connection)
        except BaseException as error:
            connection.close()
            match error:
                case EOFError() | ConnectionError() if self.has_forked:
                    raise Outdated("has ended") from None
                case EOFError() | ConnectionError():
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        self._process.wait(FORK_SECONDS)  # its connection closes a moment before it has ended
                    if self.was_killed():
                        raise NotNow("was killed before its first kernel") from None
                    raise PreforkError("ended before its first kernel") from None
                case OSError() | ValueError():
                    self._given_up = True
                    self._process.kill()
                    raise PreforkError(f"gave no sensible answer ({error})") from None
            raise

    def _answer(self, connection: socket.socket) -> ForkedKernel:
        answer, descriptors = self._receive(connection)
        match answer, descriptors:
            case {"pid": int(pid)}, [pidfd]:
                self.has_forked = True
                return ForkedKernel(pid, pidfd, connection, self.alive)
            case {"outdated": True}, []:
                raise Outdated("is older than the packages that are installed now")
            case {"refused": str(why)}, []:
                raise PreforkError(why)
        for descriptor in descriptors:
            os.close(descriptor)
        raise ValueError(answer)

    def _receive(self, connection: socket.socket) -> tuple[dict[str, Any], list[int]]:
        """As messages.receive. Raises TimeoutError if the process hangs, NotNow if its import takes too long."""
        connection.settimeout(LOOK_SECONDS)
        patience = FORK_SECONDS if self.has_forked else START_SECONDS
        work = self._work()
        waited = idle = 0.0  # in looks, not by the clock: that goes on while a container is paused
        while True:
            try:
                return messages.receive(connection, 1)
            except TimeoutError:
                before, work = work, self._work()
                waited += LOOK_SECONDS
                idle = idle + LOOK_SECONDS if work == before else 0
                if idle >= patience or (waited >= LONGEST_SECONDS and self.has_forked):
                    raise
                if waited >= LONGEST_SECONDS:  # it goes on, and is not asked to begin again
                    raise NotNow(f"still imports Sage after {waited:.0f} seconds") from None

    def _work(self) -> list[str]:
        """The processor time that it and its ended children have used: changes while it does anything."""
        try:
            return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[11:15]
        except OSError:  # it has just ended, and so will its connection
            return []


class Preforker:
    """The preforking process of this server, started when the first kernel is wanted. Safe to use from threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: PreforkingProcess | None = None
        self._started: list[PreforkingProcess] = []
        self._useless = ""

    @property
    def killed(self) -> int:
        """How many of its processes somebody has killed. Their kernels go on, and the next one starts a new process."""
        return sum(process.was_killed() for process in self._started)

    @property
    def pids(self) -> list[int]:
        """The ids of its processes that are not yet known to have ended; one that is being killed is still here.

        When it is here no more, `killed` has counted it.
        """
        return [process.pid for process in self._started if process.alive()]

    def fork(self, interpreter: Interpreter, kernel: dict[str, Any], streams: list[int]) -> ForkedKernel:
        """A new kernel with these three standard streams, after at most ten minutes. Raises PreforkError."""
        try:
            return self._fork(interpreter, kernel, streams)
        except Outdated:
            return self._fork(interpreter, kernel, streams)

    def _fork(self, interpreter: Interpreter, kernel: dict[str, Any], streams: list[int]) -> ForkedKernel:
        process = self._running(interpreter)
        try:
            return process.fork(kernel, streams)
        except PreforkError as error:
            with self._lock:
                if not (process.has_forked or isinstance(error, NotNow)):
                    # The next one would do no better, and cost an import of Sage, or START_SECONDS if it hangs too.
                    self._useless = str(error)
                if self._process is process and (self._useless or isinstance(error, Outdated)):
                    self._process = None
                    process.tell_to_leave()
            raise

    def _running(self, interpreter: Interpreter) -> PreforkingProcess:
        with self._lock:
            if self._useless:
                raise PreforkError(self._useless)
            if self._process and (self._process.interpreter != interpreter or not self._process.alive()):
                self._process.tell_to_leave()
                self._process = None
            if self._process is None:
                try:
                    self._process = PreforkingProcess(interpreter)
                except OSError as error:
                    raise PreforkError(f"cannot be started ({error})") from None
                self._started.append(self._process)
            return self._process
