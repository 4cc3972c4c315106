"""A container with an identity provider, and the people whom it knows."""

import os
import secrets
import socket
import ssl
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar, Self

from tests.conftest import docker, log_of
from tests.providers.authority import Authority

PEOPLE: dict[str, tuple[str, ...]] = {"alice": ("students",), "bob": ("students", "staff"), "mallory": ()}
START_TIMEOUT = 60  # seconds


@dataclass(frozen=True)
class Person:
    """Somebody whom a provider knows."""

    username: str
    groups: tuple[str, ...] = ()
    password: str = field(default_factory=lambda: secrets.token_urlsafe(12), repr=False)

    @property
    def name(self) -> str:
        return self.username.title()

    @property
    def email(self) -> str:
        return f"{self.username}@example.edu"


class Provider:
    """A provider that runs while the `with` lasts."""

    kind: ClassVar[str]
    host: ClassVar[str]
    scheme: ClassVar[str] = "https"
    port: ClassVar[int] = 443
    segment: ClassVar[str] = "users"  # which network of the stack it is in

    def __init__(self, stack: str, authority: Authority, **environment: str) -> None:
        self.container, self.network = f"{stack}-{self.kind}", f"{stack}-{self.segment}"
        self.url = f"{self.scheme}://{self.host}"
        self.authority, self.environment = authority, environment
        self.people: dict[str, Person] = {}

    def __enter__(self) -> Self:
        image, folder = f"stackgen-test/{self.kind}", self.authority.leaf(self.host)
        base = os.environ.get("STACKGEN_TEST_BASE_IMAGE", "debian:trixie-slim")
        docker("build", "--quiet", "--target", self.kind, "--tag", image,
               "--build-arg", f"BASE_IMAGE={base}", Path(__file__).parent)  # fmt: skip
        settings = folder / "environment"
        settings.touch(mode=0o600)
        settings.write_text("".join(f"{key}={value}\n" for key, value in self.environment.items()))
        docker("create", "--name", self.container, "--network", self.network, "--network-alias", self.host,
               "--env-file", settings, "--volume", f"{folder}:/etc/provider:ro", image)  # fmt: skip
        try:
            self.start_again()
            self.populate()
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self.remove()

    def populate(self) -> None:
        """Make the accounts that every provider has."""
        for username, groups in PEOPLE.items():
            self.add(username, *groups)

    def stop(self) -> None:
        """The provider is gone: its name is unknown, its address answers nobody. Accounts are kept."""
        docker("stop", self.container)

    def start_again(self) -> None:
        """Start the container and wait until it answers with its certificate. Its address may be another one."""
        docker("start", self.container)
        deadline = time.monotonic() + START_TIMEOUT
        while True:
            try:
                with socket.create_connection((self.address, self.port), timeout=5) as connection:
                    self.shake_hands(connection)
                return
            except OSError as error:
                assert time.monotonic() < deadline, f"{self.container} does not answer: {error}\n{self.logs()}"
                time.sleep(0.1)

    def shake_hands(self, connection: socket.socket) -> None:
        """Begin to talk to the server. Raises OSError while it cannot."""
        context = ssl.create_default_context(cafile=str(self.authority.pem))
        context.wrap_socket(connection, server_hostname=self.host).close()

    def remove(self) -> None:
        docker("rm", "--force", self.container)

    def logs(self) -> str:
        return log_of(self.container)

    def exec(self, *command: str, stdin: str = "") -> str:
        """Run a command in the container; its standard output."""
        return docker("exec", "--interactive", self.container, *command, stdin=stdin)

    @property
    def address(self) -> str:
        """The IP address on the stack's network, as `--host-resolver-rules` of a browser elsewhere needs it."""
        path = f'{{{{(index .NetworkSettings.Networks "{self.network}").IPAddress}}}}'
        return docker("inspect", "--format", path, self.container)

    def add(self, username: str, *groups: str) -> Person:
        """Somebody new, with a password."""
        person = self.people[username] = Person(username, groups)
        return person

    def set_groups(self, username: str, *groups: str) -> None:
        """Put somebody into these groups and no others."""
        self.people[username] = replace(self.people[username], groups=groups)

    def forget(self, username: str) -> None:
        """Remove somebody's account."""
        del self.people[username]
