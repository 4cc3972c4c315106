"""A kernel as a Jupyter server has it, and what can be seen of processes from outside."""

import contextlib
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jupyter_client.manager import KernelManager
from sage_prefork.process import ForkedKernel

PATIENCE = 90.0  # seconds; only a bug makes anything here take so long


def environment(**changes: str | None) -> dict[str, str]:
    """The environment of this process, changed so; None removes a variable."""
    changed = os.environ | {"PYTEST_CURRENT_TEST": None} | changes
    return {name: value for name, value in changed.items() if value is not None}


class Kernel:
    """A running kernel and a client of it."""

    def __init__(self, name: str, **options: Any) -> None:
        self.manager = KernelManager(kernel_name=name, shutdown_wait_time=PATIENCE)
        self.manager.start_kernel(**{"env": environment()} | options)
        self._connect()

    def _connect(self) -> None:
        self.client = self.manager.client()
        self.client.start_channels(hb=False)
        self.client.wait_for_ready(PATIENCE)

    @property
    def pid(self) -> int:
        return int(self.manager.provisioner.pid)

    @property
    def forked(self) -> bool:
        return isinstance(self.manager.provisioner.process, ForkedKernel)

    @property
    def exit_code(self) -> int | None:
        return self.manager.provisioner.process.poll()

    def send(self, code: str) -> str:
        """Start to run a cell; the id of the request."""
        return str(self.client.execute(code))

    def output(self, request: str, until: str = "idle") -> str:
        """All that a cell has shown, until the kernel is in that state."""
        shown: list[str] = []
        while True:
            message = self.client.get_iopub_msg(timeout=PATIENCE)
            if message["parent_header"].get("msg_id") != request:
                continue
            match message["msg_type"], message["content"]:
                case "status", {"execution_state": state} if state == until:
                    return "".join(shown).strip()
                case "stream", {"text": text}:
                    shown.append(text)
                case "execute_result" | "display_data", {"data": data}:
                    shown += [data.get("text/plain", ""), *(f" [{kind}]" for kind in data if kind.startswith("image/"))]
                case "error", {"ename": name, "evalue": value}:
                    shown.append(f"{name}: {value}")

    def run(self, code: str) -> str:
        """What a cell shows."""
        return self.output(self.send(code))

    def restart(self) -> None:
        self.client.stop_channels()
        self.manager.restart_kernel()
        self._connect()

    def shut_down(self) -> None:
        """As a user does, however long it takes."""
        self.client.stop_channels()
        self.manager.shutdown_kernel()

    def end(self) -> None:
        """Without delay. Also if it is shut down, or dead, already."""
        # Programs of Sage's interfaces are sessions of their own. One that computes would not notice the kernel's end.
        helpers = children(self.pid)
        self.client.stop_channels()
        if self.manager.has_kernel:
            self.manager.shutdown_kernel(now=True)
        for helper in helpers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(helper, signal.SIGKILL)


def until(condition: Callable[[], Any]) -> Any:
    """Wait for what must become true; its value."""
    end = time.monotonic() + PATIENCE
    while not (value := condition()):
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)
    return value


def statuses() -> dict[int, str]:
    """What the system tells of each process, by its id."""
    found = {}
    for status in Path("/proc").glob("[0-9]*/status"):
        with contextlib.suppress(OSError):  # it has just ended
            found[int(status.parent.name)] = status.read_text()
    return found


def named(name: str) -> set[int]:
    """The process ids of all processes with this name that are not zombies."""
    return {
        pid for pid, status in statuses().items() if status.startswith(f"Name:\t{name}\n") and "State:\tZ" not in status
    }


def children(pid: int) -> set[int]:
    """The process ids of what a process has started, as long as it is there itself."""
    return {child for child, status in statuses().items() if f"\nPPid:\t{pid}\n" in status}


def maps(pid: int, name: str) -> bool:
    """Whether a process has a file of this name, or with this part of it, in its memory."""
    return name in Path(f"/proc/{pid}/maps").read_text()


def waits(pid: int) -> int:
    """How often a process has begun to wait for something so far."""
    return int(Path(f"/proc/{pid}/status").read_text().partition("\nvoluntary_ctxt_switches:")[2].split()[0])


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/status").read_text().partition("PPid:")[2].split()[0])


def gone(*pids: int) -> bool:
    """Whether these processes are no more, not even as zombies of this one."""
    return not any(Path(f"/proc/{pid}").exists() for pid in pids)
