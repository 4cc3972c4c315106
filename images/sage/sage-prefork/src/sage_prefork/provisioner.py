"""The kernel provisioner `sage-prefork` of jupyter_client: forked kernels, and plain ones where that cannot be."""

import asyncio
import os
from pathlib import Path
from typing import Any

from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning import LocalProvisioner

from sage_prefork.client import Interpreter, Preforker, PreforkError
from sage_prefork.kernel import MODULE, OF_ONE_KERNEL
from sage_prefork.process import ForkedKernel

LINGER_SECONDS = 0.2  # KernelManager lets go of an unread message on its control socket after 0.1 s

preforker = Preforker()  # one process for all kernels of this server


class SagePreforkProvisioner(LocalProvisioner):
    """Starts Sage kernels as forks of a process that has imported Sage.

    `SAGE_PREFORK=off` in the environment turns it off. Whenever anything is wrong, the kernel starts as any other
    does, and one line in the log says why.
    """

    _unread_shutdown = False

    async def shutdown_requested(self, restart: bool = False) -> None:  # noqa: ARG002
        """Called when the request was sent. A dead kernel does not read it, but the next one on its port would."""
        self._unread_shutdown = await self.poll() is not None

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        if kwargs.get("env", os.environ).get("SAGE_PREFORK") == "off":
            return await super().launch_kernel(cmd, **kwargs)
        if self._unread_shutdown:
            await asyncio.sleep(LINGER_SECONDS)
            self._unread_shutdown = False
        try:
            self.process = await asyncio.to_thread(_fork, cmd, **self._scrub_kwargs(kwargs))
        except PreforkError as error:
            self.log.warning("This Sage kernel starts the slow way, because the preforking process %s", error)
            return await super().launch_kernel(cmd, **kwargs)
        self.pid = self.pgid = self.process.pid
        self.cwd = kwargs.get("cwd", Path.cwd())
        await self._wait_until_bound()
        return self.connection_info

    async def _wait_until_bound(self) -> None:
        """Return when the kernel listens, which takes some hundredths of a second.

        A client that came earlier would try again only after a tenth of a second, ZeroMQ's reconnect interval.
        """
        info = self.connection_info
        for _ in range(50 if info["transport"] == "tcp" else 0):
            try:
                _, writer = await asyncio.open_connection(info["ip"], info["hb_port"])
            except OSError:
                await asyncio.sleep(0.005)
            else:
                writer.close()
                return


def _fork(cmd: list[str], *, cwd: str | None = None, env: dict[str, str] | None = None, **others: Any) -> ForkedKernel:
    """Raises PreforkError."""
    environment = dict(os.environ if env is None else env) | {"JPY_PARENT_PID": str(os.getpid())}
    cwd = str(cwd or Path.cwd())
    start = next((at for at, word in enumerate(cmd) if cmd[at : at + 2] == ["-m", MODULE]), None)
    if start is None:
        raise PreforkError(f"only knows kernels of the form `python -m {MODULE}`")
    if others:
        raise PreforkError(f"cannot set {', '.join(others)}")
    if not Path(cwd).is_dir():
        raise PreforkError(f"finds no folder {cwd}")
    interpreter = Interpreter(
        tuple(cmd[:start]), {name: value for name, value in environment.items() if name not in OF_ONE_KERNEL}
    )
    kernel = {
        "arguments": cmd[start + 2 :],
        "cwd": cwd,
        "environment": {name: environment.get(name) for name in OF_ONE_KERNEL},
    }
    nothing = os.open(os.devnull, os.O_RDONLY)
    try:
        return preforker.fork(interpreter, kernel, [nothing, 1, 2])
    finally:
        os.close(nothing)
