"""A Docker engine of a test's own, for tests that fill disks, kill the engine or need one that has never seen a stack.

It has its own data root, socket, containerd and network namespace, so that the machine's engine notices nothing. It is
plugged into that one's default bridge like a container, and reaches what containers reach.
"""

import ctypes
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from ipaddress import ip_network
from pathlib import Path

from tests.conftest import docker

CLONE_NEWNET = 0x40000000  # of Linux's include/uapi/linux/sched.h
SECONDS_TO_START = 60
# sd_listen_fds(3)
START = """
exec 3<&"$1"
mount --bind "$2" /run/docker.sock
shift 2
LISTEN_FDS=1 LISTEN_PID=$$ exec dockerd --host fd:// "$@"
"""
_libc = ctypes.CDLL(None, use_errno=True)


class OwnEngine:
    """The engine that keeps all it has below `root`, a folder outside any overlay file system.

    With `name` as its network namespace, at most 12 characters. Started by `start`, ended by `remove`.
    """

    def __init__(self, root: Path, name: str) -> None:
        self.root, self.name = root, name
        self.host = f"unix://{root}/docker.sock"
        self.log = root / "dockerd.log"
        self._dockerd: subprocess.Popen[bytes] | None = None
        self._socket = socket.socket(socket.AF_UNIX)
        self._machine = os.environ.copy()  # which says where the machine's engine is, if that must be said

    @property
    def volumes(self) -> Path:
        """Where it keeps volumes."""
        return self.root / "data" / "volumes"

    def start(self) -> None:
        """Start dockerd, or start it again after `kill`; returns when it answers."""
        self.root.mkdir(parents=True, exist_ok=True)
        namespace = Path("/run/netns", self.name)
        if not namespace.exists():
            self._connect()
            self._socket.bind(str(self.root / "docker.sock"))
            self._socket.listen()
        # Its mounts are in a namespace, too, and vanish with it. There the usual socket is this engine's, so that a
        # container which mounts it gets this one. It is made here, because containers may start before dockerd listens.
        command = [
            *("nsenter", f"--net={namespace}", "unshare", "--mount", "bash", "-euc", START, "dockerd"),
            *(str(self._socket.fileno()), self.root / "docker.sock"),
            *("--data-root", self.root / "data", "--exec-root", self.root / "exec"),
            *("--pidfile", self.root / "dockerd.pid", "--config-file", self.root / "no-daemon.json"),
        ]
        (self.root / "no-daemon.json").write_text("{}")
        with self.log.open("ab") as log:
            self._dockerd = subprocess.Popen(
                command, stdout=log, stderr=log, start_new_session=True, pass_fds=[self._socket.fileno()]
            )
        end = time.monotonic() + SECONDS_TO_START
        while not self._answers():
            assert self._dockerd.poll() is None and time.monotonic() < end, self.log.read_text()[-3000:]
            time.sleep(0.1)

    def _connect(self) -> None:
        """Make the network namespace, with a cable to the bridge of the machine's engine."""
        bridge = docker("network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Subnet}}")
        network = ip_network(bridge)
        # from the end of the range, because the engine gives addresses away from its beginning
        address = f"{network[-2 - os.getpid() % 250]}/{network.prefixlen}"
        for command in (
            f"netns add {self.name}",
            f"link add {self.name} master docker0 type veth peer name eth0 netns {self.name}",
            f"link set {self.name} up",
            f"-n {self.name} link set lo up",
            f"-n {self.name} link set eth0 up",
            f"-n {self.name} address add {address} dev eth0",
            f"-n {self.name} route add default via {network[1]}",
        ):
            subprocess.run(["ip", *command.split()], check=True)

    def _answers(self) -> bool:
        ask = ["timeout", "1", "docker", "-H", self.host, "version"]
        return subprocess.run(ask, capture_output=True, check=False).returncode == 0

    def kill(self) -> None:
        """SIGKILL to dockerd alone: its containerd and its containers go on, as after a crash.

        Whoever asks the engine something waits until it is started again.
        """
        assert self._dockerd
        self._dockerd.kill()
        self._dockerd.wait()

    def load(self, *images: str) -> None:
        """Copy images of the machine's engine into this one."""
        with subprocess.Popen(["docker", "save", *images], stdout=subprocess.PIPE, env=self._machine) as save:
            subprocess.run(
                ["docker", "-H", self.host, "load", "--quiet"], stdin=save.stdout, check=True, capture_output=True
            )
        assert save.returncode == 0

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Within it, this thread and the programs that it starts use this engine and see its ports on the loopback."""
        before = os.environ.get("DOCKER_HOST")
        with Path("/proc/thread-self/ns/net").open() as outside, Path("/run/netns", self.name).open() as namespace:
            _enter(namespace.fileno())
            os.environ["DOCKER_HOST"] = self.host
            try:
                yield
            finally:
                _enter(outside.fileno())
                if before is None:
                    del os.environ["DOCKER_HOST"]
                else:
                    os.environ["DOCKER_HOST"] = before

    def remove(self) -> None:
        """End it with all that it runs, and remove all that it has."""
        if self._dockerd and self._dockerd.poll() is None:
            self._dockerd.terminate()
            self._dockerd.wait()
        for process in self._left():
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        while self._left():
            time.sleep(0.05)
        if Path("/run/netns", self.name).exists():
            subprocess.run(["ip", "netns", "delete", self.name], check=True)
        subprocess.run(["rm", "-rf", self.root], check=True)  # many files: shutil would take long

    def _left(self) -> list[int]:
        """Processes that name this engine's folder: containerd after a crash of dockerd, shims, proxies of ports."""
        needle, left = f"{self.root}/".encode(), []
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                command = (process / "cmdline").read_bytes()
                if needle in command and b"containerd" in command.split(b"\0")[0]:
                    left.append(int(process.name))
        return left


def _enter(descriptor: int) -> None:
    """Move this thread into a network namespace (os.setns is there from Python 3.12 on)."""
    if _libc.setns(descriptor, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")
