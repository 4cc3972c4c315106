"""Fixtures for every test: the command line, and one real running stack that the tests of a session share."""

import hashlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from stackgen import compose, envfile, names
from stackgen.engine import Engine
from stackgen.front import FrontDoor
from stackgen.hubapi import Hub
from stackgen.settings import Settings
from stackgen.settings_table import BY_KEY

STACKGEN = str(Path(sys.executable).with_name("stackgen"))

# What a shell starts in the background ignores Ctrl-C, and so would every command that the tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)


def stackgen(
    *arguments: str | Path, stdin: str = "", cwd: Path | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run the command as a user does, without a terminal; what it prints comes back as text."""
    clean = {key: value for key, value in os.environ.items() if key not in BY_KEY and key != "STACKGEN_DIR"}
    return subprocess.run(
        [STACKGEN, *map(str, arguments)],
        input=stdin,
        cwd=cwd,
        env=clean | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def docker(*arguments: str | Path, stdin: str | None = None) -> str:
    """Run docker; its standard output, stripped. Fails the test, with what it said, if docker fails."""
    done = subprocess.run(["docker", *map(str, arguments)], input=stdin, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"docker {arguments}: {done.stderr}"
    return done.stdout.strip()


def log_of(container: str) -> str:
    """All that a container has written, which is mostly on its error output."""
    done = subprocess.run(
        ["docker", "logs", container], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True
    )
    return done.stdout


def free_ports(count: int) -> list[int]:
    """Ports of this machine that nothing listens on, all different."""
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


@dataclass
class RunningStack:
    """A stack that runs, its admin, and what to talk to it with."""

    directory: Path
    admin: str
    password: str

    @property
    def settings(self) -> Settings:
        return Settings(envfile.read(self.directory / ".env"))

    @property
    def name(self) -> str:
        return self.settings["STACK_NAME"]

    @property
    def front(self) -> FrontDoor:
        return FrontDoor.of(self.settings, Engine())

    @property
    def hub(self) -> Hub:
        return Hub(self.front, self.settings["HUB_API_TOKEN"])

    def compose(self, *arguments: str) -> str:
        """`docker compose` in the stack directory, as a user without stackgen would type it."""
        return docker(*compose.argv(self.directory, *arguments)[1:])

    def container(self, name: str) -> str:
        """The name of the container of a user's server."""
        return f"{self.name}-{names.escaped(name)}"

    def kernel(self, name: str, **environment: str) -> str:
        """Give a running user's server one kernel more: the image's own, with these settings; what it is called."""
        called = hashlib.sha256(repr(environment).encode()).hexdigest()[:8]
        folder = f"/home/sage/.local/share/jupyter/kernels/{called}"
        spec = docker("exec", self.container(name), "cat", "/opt/sage/share/jupyter/kernels/sagemath/kernel.json")
        write = f"mkdir -p {folder} && cat > {folder}/kernel.json"
        own = json.dumps(json.loads(spec) | {"env": environment})
        docker("exec", "--interactive", self.container(name), "sh", "-c", write, stdin=own)
        return called

    def plain_kernel(self, name: str) -> str:
        """A kernel that is never forked."""
        return self.kernel(name, SAGE_PREFORK="off")

    def user(self, name: str) -> str:
        """Create an account; its password."""
        password = secrets.token_urlsafe(12)
        self.hub.set_password(name, password)
        return password


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """init, docker compose up, add-admin: exactly what the README says."""
    name = f"t{os.getpid()}"
    directory = tmp_path_factory.mktemp("stack") / "stack"
    http, https = free_ports(2)
    settings = {
        "STACK_NAME": name,
        "VOLUME_PREFIX": f"{name}-user-",
        "BIND_ADDRESS": "127.0.0.1",
        "HTTP_PORT": str(http),
        "HTTPS_PORT": str(https),
        "BASE_IMAGE": os.environ.get("STACKGEN_TEST_BASE_IMAGE", ""),
    }
    assignments = [word for key, value in settings.items() if value for word in ("--set", f"{key}={value}")]
    done = stackgen("init", directory, "--admin", "ada", *assignments)
    assert done.returncode == 0, done.stderr
    try:
        up = subprocess.run(
            ["docker", "compose", "up", "-d", "--wait"], cwd=directory, capture_output=True, text=True, check=False
        )
        assert up.returncode == 0, up.stdout[-3000:] + up.stderr[-3000:]
        done = stackgen("add-admin", "ada", "--generate", "-C", directory)
        assert done.returncode == 0, done.stderr
        yield RunningStack(directory, "ada", done.stdout.strip())
    finally:
        remove(directory, name)


def remove(directory: Path, name: str) -> None:
    """Take a stack away with all it owns: containers, networks, volumes, images."""
    stackgen("down", "-C", directory)
    for volume in docker("volume", "ls", "-q", "--filter", f"name={name}-").split():
        docker("volume", "rm", volume)
    for image in docker("image", "ls", "-q", "--filter", f"reference={name}/*").split():
        docker("image", "rm", "--force", image)
    shutil.rmtree(directory)
