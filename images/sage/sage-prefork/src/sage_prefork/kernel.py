"""What a forked process does to become a kernel like any other."""

import os
import random
import runpy
import socket
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL

MODULE = "sage.repl.ipython_kernel"
OF_ONE_KERNEL = ("JPY_SESSION_NAME", "JPY_PARENT_PID")  # environment variables that no two kernels share


@dataclass(frozen=True)
class Kernel:
    """The kernel that a request asks for."""

    arguments: list[str]
    cwd: str
    environment: dict[str, str | None]  # of the variables in OF_ONE_KERNEL; None: not set
    streams: list[int]  # descriptors of standard input, output and error output
    connection: socket.socket  # to the Jupyter server

    def close(self) -> None:
        """Close what came with the request."""
        self.connection.close()
        for descriptor in self.streams:
            os.close(descriptor)


def run(kernel: Kernel) -> None:
    """Be this kernel, in a process that was just forked; returns when it is to end."""
    os.setsid()
    for number, descriptor in enumerate(kernel.streams):
        os.dup2(descriptor, number)
        os.close(descriptor)
    Path("/proc/self/comm").write_text("sage-kernel")
    os.chdir(kernel.cwd)
    if not sys.flags.safe_path:
        sys.path[0] = kernel.cwd  # where `python -m` puts it
    for name, value in kernel.environment.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    threading.Thread(target=_end_with_the_server, args=[kernel.connection], daemon=True).start()
    _start_afresh()
    sys.argv[1:] = kernel.arguments
    runpy.run_module(MODULE, run_name="__main__", alter_sys=True)


def _end_with_the_server(connection: socket.socket) -> None:
    """As ipykernel ends when its parent is gone, and with it what it has started."""
    connection.setblocking(True)
    connection.recv(1)  # nothing is ever sent
    os.killpg(0, SIGKILL)


def _start_afresh() -> None:
    """Replace what is not for all kernels: random numbers, settings read from files, the folder for temporary files.

    Sage seeds PARI, GAP, NTL and others from its own generator when they are first used after this. Python seeds
    `random`, and Matplotlib forgets its open fonts, without being told (os.register_at_fork).
    """
    from sage.misc import temporary_file
    from sage.misc.randstate import set_random_seed

    set_random_seed()
    random.seed()
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed()
    if matplotlib := sys.modules.get("matplotlib"):
        matplotlib.rc_file(matplotlib.matplotlib_fname())  # the user's, who may have changed it
    # Without this, the first kernel that ends would remove the folder of all others.
    temporary_file.TMP_DIR_FILENAME_BASE._finalizer.detach()
    temporary_file.TMP_DIR_FILENAME_BASE = tempfile.TemporaryDirectory(prefix="sage_")
