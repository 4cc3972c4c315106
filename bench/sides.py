"""Two stacks of the same images, side by side: ours, and the usual chain of nginx and configurable-http-proxy."""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stackgen.engine import Engine
from stackgen.smoke import Browser

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.conftest import RunningStack, docker, free_ports, remove, stackgen
from tests.providers import Authority

HOUR = 3600  # seconds
CHAIN = Path(__file__).with_name("chain")
USER, PASSWORD = "bench", "a password of the benchmark"


class Side(RunningStack):
    """A running stack with one user, whom it has in the place of an admin."""

    @property
    def nginx(self) -> str:
        """Its container."""
        return f"{self.name}-nginx-1"

    @property
    def certificate(self) -> str:
        """What nginx shows, PEM."""
        return (self.directory.parent / "localhost/leaf.pem").read_text()

    def start_server(self) -> str:
        """Start the user's server, and wait for it; a token of the user."""
        token = self.hub.new_token(USER, HOUR)
        browser = Browser(self.front, USER)
        browser.use_token(token)
        browser.start_server()
        return token

    def address(self, service: str, network: str = "backend") -> str:
        """Of a service's container on one of the stack's networks."""
        form = f'{{{{(index .NetworkSettings.Networks "{self.name}-{network}").IPAddress}}}}'
        return docker("inspect", "--format", form, f"{self.name}-{service}-1")


@contextmanager
def side(name: str, *, chain: bool) -> Iterator[Side]:
    """Bring a stack up and take it away afterwards."""
    directory = Path(tempfile.mkdtemp(prefix="stackgen-bench-")) / name
    pair = Authority(directory.parent).leaf("localhost")
    http, https = free_ports(2)
    values = {
        "STACK_NAME": name, "VOLUME_PREFIX": f"{name}-user-", "BIND_ADDRESS": "127.0.0.1", "HTTP_PORT": http,
        "HTTPS_PORT": https, "TLS": "files", "TLS_CERT": pair / "leaf.pem", "TLS_KEY": pair / "leaf.key",
    }  # fmt: skip
    assignments = [word for key, value in values.items() for word in ("--set", f"{key}={value}")]
    done = stackgen("init", directory, "--admin", "ada", *assignments)
    if done.returncode:
        sys.exit(done.stderr)
    if chain:
        shutil.copytree(CHAIN, directory / "chain")
        for source, file in {"leaf.pem": "fullchain.pem", "leaf.key": "privkey.pem"}.items():
            shutil.copy(pair / source, directory / "chain" / file)
        shutil.move(directory / "chain/compose.override.yaml", directory / "compose.override.yaml")
        shutil.move(directory / "chain/hub.py", directory / "hub/config.d/chain.py")
    try:
        done = stackgen("up", "-C", directory)
        if done.returncode:
            sys.exit(done.stdout + done.stderr)
        made = Side(directory, USER, PASSWORD)
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
