"""A site with TLS=acme without the rest of a stack: nginx, certbot, and authorities for both."""

import json
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from front import Front

from tests.conftest import docker, log_of
from tests.providers import AcmeAuthority, Authority

DOMAIN, ALIAS = "math.example.org", "www.math.example.org"
PATIENCE = 180  # seconds until a test gives up; nothing is expected to take a tenth of it


def eventually(condition: Callable[[], object], said: Callable[[], str]) -> None:
    """Wait until it is so; `said` is for the error."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, said()
        time.sleep(0.2)


class Site(Front):
    """nginx and the certbot container beside it."""

    def __init__(self, nginx_image: str, certbot_image: str, trusted: Path) -> None:
        super().__init__(nginx_image, "acme", DOMAIN=DOMAIN, DOMAIN_ALIASES=ALIAS)
        self.certbot_image, self.certbot, self.acme = certbot_image, f"{self.name}-certbot", f"{self.name}-acme"
        self.trusted = trusted
        self.volumes, self.aliases = [f"{self.acme}:/var/lib/acme:ro"], [DOMAIN, ALIAS]

    def __enter__(self) -> "Site":
        super().__enter__()
        self._cleanup.callback(docker, "volume", "rm", "--force", self.acme)
        self._cleanup.callback(docker, "rm", "--force", self.name, self.certbot)
        return self

    def start_certbot(self, server: str, **environment: str) -> None:
        """Make the container anew, as `docker compose up` does; what it has got stays in its volume."""
        docker("rm", "--force", self.certbot)
        settings = {"DOMAIN": DOMAIN, "DOMAIN_ALIASES": ALIAS, "ACME_SERVER": server} | environment
        docker("run", "--detach", f"--name={self.certbot}", f"--network={self.users}",
               f"--volume={self.acme}:/var/lib/acme", f"--volume={self.trusted}:/etc/ssl/certs/ca-certificates.crt:ro",
               *(f"--env={key}={value}" for key, value in settings.items()), self.certbot_image)  # fmt: skip

    def renew(self, *options: str) -> dict[str, Any]:
        """`stackgen tls renew` inside: what came of it."""
        return dict(json.loads(docker("exec", self.certbot, "acme", "renew", *options)))

    def attempt(self) -> dict[str, Any]:
        """What certbot's container has written down of its last attempt."""
        done = subprocess.run(
            ["docker", "exec", self.certbot, "cat", "/var/lib/acme/status.json"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        return dict(json.loads(done.stdout)) if done.returncode == 0 else {}

    def certificate(self) -> str:
        """The certificate that browsers see, PEM."""
        return ssl.get_server_certificate((self.address(self.backend), 443))

    def status(self) -> dict[str, str]:
        """What nginx's container says of its certificate."""
        return dict(line.split("=", 1) for line in self.exec("certificate", "status").splitlines())

    @property
    def is_certified(self) -> bool:
        """Whether browsers see a certificate of the authority's, the one that is in place."""
        status = self.status()
        return "Caddy" in status["issuer"] and status["served"] == status["available"]

    def write_attempt(self, **known: object) -> None:
        """Change what is written down of the last attempt."""
        status = json.dumps(self.attempt() | known)
        docker("exec", "-i", self.certbot, "tee", "/var/lib/acme/status.json", stdin=status)

    def is_expired(self) -> bool:
        """Whether the certificate that browsers see has expired."""
        status = self.status()
        until = datetime.fromisoformat(status["notAfter"].replace("Z", "+00:00"))
        return until < datetime.now(UTC) and status["served"] == status["available"]

    def let_time_pass(self, left: timedelta) -> None:
        """As if months had gone by: of the certificate's year this much is left, and the next attempt is due."""
        until = datetime.now(UTC) + left
        begin, end = (f"{moment:%Y%m%d%H%M%SZ}" for moment in (until - timedelta(days=365), until))
        aged = docker("exec", self.certbot, "openssl", "req", "-x509", "-key", "/var/lib/acme/active/privkey.pem",
                      "-subj", "/CN=aged", "-addext", f"subjectAltName=DNS:{DOMAIN},DNS:{ALIAS}",
                      "-not_before", begin, "-not_after", end)  # fmt: skip
        for name in ("cert", "fullchain"):
            docker("exec", "-i", self.certbot, "tee", f"/var/lib/acme/active/{name}.pem", stdin=aged + "\n")
        self.write_attempt(next=0)

    def all_logs(self) -> str:
        return self.logs() + log_of(self.certbot)

    def await_certificate(self, other_than: str = "") -> str:
        """Wait until browsers see a certificate of the authority's; return it."""
        eventually(lambda: self.is_certified and self.certificate() != other_than, self.all_logs)
        return self.certificate()


@contextmanager
def site(nginx_image: str, certbot_image: str, folder: Path) -> Iterator[tuple[Site, AcmeAuthority]]:
    """A site whose nginx runs and whose certbot does not yet, and an authority."""
    trust = Authority(folder)
    with ExitStack() as cleanup:
        front = cleanup.enter_context(Site(nginx_image, certbot_image, trust.pem))
        authority = cleanup.enter_context(AcmeAuthority(front.name, trust))
        front.start()
        front.add("/", front.upstream("hub").url)
        yield front, authority
