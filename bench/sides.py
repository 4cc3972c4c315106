"""Two stacks of the same images, side by side: ours, and the usual chain of nginx and configurable-http-proxy."""

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from stackgen import envfile
from stackgen.engine import Engine
from stackgen.front import FrontDoor
from stackgen.hubapi import Hub
from stackgen.settings import Settings

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.conftest import docker, free_ports, remove, stackgen

CHAIN = Path(__file__).with_name("chain")
USER, PASSWORD = "bench", "a password of the benchmark"


@dataclass
class Side:
    """A running stack with one user."""

    name: str
    directory: Path

    @property
    def settings(self) -> Settings:
        return Settings(envfile.read(self.directory / ".env"))

    @property
    def certificate(self) -> str:
        """What its nginx shows, PEM."""
        return (self.directory / "certificate.pem").read_text()

    @property
    def hub(self) -> Hub:
        return Hub(FrontDoor(self.settings, self.certificate), self.settings["HUB_API_TOKEN"])

    @property
    def nginx(self) -> str:
        return f"{self.name}-nginx-1"

    def start_server(self) -> None:
        """Start the user's server, and wait for it."""
        session, url = FrontDoor(self.settings, self.certificate).session(), self.settings.url
        session.headers["Authorization"] = f"token {self.settings['HUB_API_TOKEN']}"
        session.post(f"{url}hub/api/users/{USER}/server", timeout=120).raise_for_status()
        end = time.monotonic() + 120
        while not session.get(f"{url}hub/api/users/{USER}", timeout=120).json()["server"]:
            if time.monotonic() > end:
                sys.exit(f"the server of {self.name} does not start")
            time.sleep(0.5)

    def address(self, service: str, network: str = "backend") -> str:
        """Of a service's container on one of the stack's networks."""
        form = f'{{{{(index .NetworkSettings.Networks "{self.name}-{network}").IPAddress}}}}'
        return docker("inspect", "--format", form, f"{self.name}-{service}-1")


def _certificate(directory: Path) -> None:
    """A certificate of the benchmark's own for localhost, which its browser trusts."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-days", "9",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
         "-keyout", "privkey.pem", "-out", "fullchain.pem"],
        cwd=directory, check=True, capture_output=True,
    )  # fmt: skip


@contextmanager
def side(name: str, *, chain: bool) -> Iterator[Side]:
    """Bring a stack up and take it away afterwards."""
    directory = Path(tempfile.mkdtemp(prefix="stackgen-bench-")) / name
    http, https = free_ports(2)
    values = {
        "STACK_NAME": name, "VOLUME_PREFIX": f"{name}-user-", "BIND_ADDRESS": "127.0.0.1", "HTTP_PORT": http,
        "HTTPS_PORT": https, "TLS": "files", "TLS_CERT": directory.parent / "fullchain.pem",
        "TLS_KEY": directory.parent / "privkey.pem",
    }  # fmt: skip
    _certificate(directory.parent)
    assignments = [word for key, value in values.items() for word in ("--set", f"{key}={value}")]
    done = stackgen("init", directory, "--admin", "ada", *assignments)
    if done.returncode:
        sys.exit(done.stderr)
    shutil.copy(directory.parent / "fullchain.pem", directory / "certificate.pem")
    if chain:
        shutil.copytree(CHAIN, directory / "chain")
        for file in ("fullchain.pem", "privkey.pem"):
            shutil.copy(directory.parent / file, directory / "chain")
        shutil.move(directory / "chain/compose.override.yaml", directory / "compose.override.yaml")
        shutil.move(directory / "chain/hub.py", directory / "hub/config.d/chain.py")
    try:
        done = stackgen("up", "-C", directory)
        if done.returncode:
            sys.exit(done.stdout + done.stderr)
        made = Side(name, directory)
        made.hub.set_password(USER, PASSWORD)
        yield made
    finally:
        for server in Engine().user_servers(name):
            Engine().remove_container(server.name)
        remove(directory, name)
        shutil.rmtree(directory.parent)


@contextmanager
def both() -> Iterator[tuple[Side, Side]]:
    """Ours, and the chain."""
    with side("ours", chain=False) as ours, side("chain", chain=True) as chain:
        yield ours, chain
