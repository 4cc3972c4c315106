"""The site's certificate: what there is, what is served, and how another one comes into service.

The work is done where the files are: by `certificate` in the nginx container and `acme` in the certbot container.
"""

import hashlib
import json
import re
import ssl
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from stackgen import compose
from stackgen.engine import Engine
from stackgen.errors import USAGE, Problem, StackgenError
from stackgen.settings import Settings
from stackgen.stack import Stack

ACME_STATUS = "/var/lib/acme/status.json"


@dataclass(frozen=True)
class Certificate:
    """What nginx has been given; `served` tells whether browsers see the newest, `matches` whether it is DOMAIN's."""

    names: list[str]
    issuer: str
    self_signed: bool
    valid_from: datetime
    valid_until: datetime
    served: bool
    matches: bool

    @property
    def days_left(self) -> int:
        """Whole days until it expires, negative afterwards."""
        return (self.valid_until - datetime.now(UTC)).days


@dataclass(frozen=True)
class Attempt:
    """The last time that the authority was asked: "new", "kept", "failed", "interrupted"; and when it is next."""

    time: datetime
    outcome: str
    error: str
    next: datetime


@dataclass(frozen=True)
class TlsStatus:
    """How it is with TLS; no certificate with TLS=off, no attempt but with TLS=acme."""

    mode: str
    certificate: Certificate | None
    attempt: Attempt | None

    def data(self) -> dict[str, Any]:
        """For programs; times are ISO 8601."""
        shown: dict[str, Any] = json.loads(json.dumps(asdict(self), default=datetime.isoformat))
        if self.certificate:
            shown["certificate"]["days_left"] = self.certificate.days_left
        return shown

    def text(self) -> str:
        """For people."""
        rows = {"TLS": self.mode}
        if self.certificate:
            rows["names"] = ", ".join(self.certificate.names)
            rows["issuer"] = "itself" if self.certificate.self_signed else self.certificate.issuer
            rows["valid"] = f"{self.certificate.valid_from:%Y-%m-%d} to {self.certificate.valid_until:%Y-%m-%d}"
            rows["days left"] = str(self.certificate.days_left)
            rows["served"] = "yes" if self.certificate.served else "no"
        if self.attempt:
            said = f": {self.attempt.error}" if self.attempt.error else ""
            rows["last attempt"] = f"{_moment(self.attempt.time)}, {self.attempt.outcome}{said}"
            rows["next attempt"] = _moment(self.attempt.next)
        return "\n".join(f"{name:14}{value}" for name, value in rows.items())

    def problems(self, settings: Settings) -> Iterator[Problem]:
        """Whatever keeps browsers from being content with the certificate, as far as TLS promises that they are."""
        if not self.certificate:
            return
        if not self.certificate.served:
            yield Problem("nginx serves another certificate than the one in place", "stackgen tls reload")
        if self.certificate.days_left < 0:
            yield Problem(f"the certificate expired on {self.certificate.valid_until:%Y-%m-%d}", _remedy(settings))
        if not self.certificate.matches:
            yield Problem(f"the certificate is not made for DOMAIN={settings['DOMAIN']}", _remedy(settings))
        if self.mode == "acme" and self.certificate.self_signed:
            why = f": {self.attempt.error}" if self.attempt and self.attempt.error else ""
            yield Problem(f"the authority has not given a certificate yet{why}", _reachable(settings))


def status(stack: Stack, engine: Engine) -> TlsStatus:
    """Ask the containers. Raises StackgenError if nginx does not run."""
    mode = stack.settings["TLS"]
    if mode == "off":
        return TlsStatus(mode, None, None)
    said = _inside(stack, engine, "nginx", "certificate", "status")
    shown = dict(line.split("=", 1) for line in said.splitlines() if "=" in line)
    available = _fingerprint(Path(stack.settings["TLS_CERT"])) if mode == "files" else shown["available"]
    certificate = Certificate(
        names=[name.partition(":")[2] for name in shown["names"].split(", ")] if shown["names"] else [],
        issuer=shown["issuer"],
        self_signed=shown["issuer"] == shown["subject"],
        valid_from=_parsed(shown["notBefore"]),
        valid_until=_parsed(shown["notAfter"]),
        served=shown["served"] == available,
        matches="matches" in shown,
    )
    return TlsStatus(mode, certificate, _last_attempt(stack, engine) if mode == "acme" else None)


def reload(stack: Stack, engine: Engine) -> None:
    """Serve the certificate that is there now. Raises StackgenError if it cannot be served; the old one goes on."""
    settings = stack.settings
    if settings["TLS"] == "off":
        raise _off()
    if settings["TLS"] != "files":
        _inside(stack, engine, "nginx", "certificate", "reload")
        return
    # A file that was moved over the old one is not the one that the container has mounted: it gets the text instead.
    pair = "".join(f"{_read(settings, key)}\n" for key in ("TLS_CERT", "TLS_KEY"))
    _inside(stack, engine, "nginx", "certificate", "reload", "-", stdin=pair)


def renew(stack: Stack, engine: Engine, *, force: bool) -> str:
    """Get another certificate and serve it; what came of it, in a sentence. Raises StackgenError if there is none."""
    settings = stack.settings
    if settings["TLS"] == "off":
        raise _off()
    if settings["TLS"] == "files":
        raise StackgenError("TLS=files: the certificate is yours to renew", _remedy(settings), USAGE)
    if settings["TLS"] == "self-signed":
        _inside(stack, engine, "nginx", "certificate", "renew")
        return "there is a new self-signed certificate: browsers ask their users once more"
    attempt = json.loads(_inside(stack, engine, "certbot", "acme", "renew", *(["--force"] if force else [])))
    if attempt["outcome"] == "refused":
        raise StackgenError(f"not tried: {attempt['error']}", "try again later: stackgen tls status")
    if attempt["outcome"] == "failed":
        raise StackgenError(f"the authority has given no certificate: {attempt['error']}", _reachable(settings))
    _inside(stack, engine, "nginx", "certificate", "reload")
    if attempt["outcome"] == "kept":
        return "the certificate is fresh and was kept; --force gets another one (authorities give about five a week)"
    return "there is a new certificate"


def _inside(stack: Stack, engine: Engine, service: str, *command: str, stdin: str | None = None) -> str:
    """Run a command in a service's container; its output. Its own errors and hints are passed on."""
    container = engine.services(stack.settings["STACK_NAME"]).get(service)
    if not container or container.state != "running":
        raise StackgenError(f"the service {service} is not running", "start it: stackgen up")
    arguments = compose.inside(stack.directory, service, *command)
    done = compose.run(arguments, stdin=stdin, capture=True, check=False)
    if done.returncode != 0:
        own = re.search(r"^error: (.*)\nhint: (.*)", done.stderr, re.MULTILINE | re.DOTALL)
        message, hint = own.groups() if own else (f"{' '.join(command)} failed", done.stderr)
        raise StackgenError(message, hint.strip())
    return done.stdout


def _last_attempt(stack: Stack, engine: Engine) -> Attempt | None:
    certbot = engine.services(stack.settings["STACK_NAME"]).get("certbot")
    try:
        found = json.loads(engine.read_file(certbot.name, ACME_STATUS)) if certbot else None
    except StackgenError:
        return None  # no attempt yet
    if not found:
        return None
    began, due = (datetime.fromtimestamp(found[key], UTC) for key in ("time", "next"))
    return Attempt(began, found["outcome"], found["error"], due)


def _fingerprint(path: Path) -> str:
    """The SHA-256 fingerprint of a file's first certificate; empty if there is none."""
    try:
        found = re.search("-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", path.read_text(), re.DOTALL)
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(found[0])).hexdigest().upper() if found else ""
    except (OSError, ValueError):
        return ""


def _read(settings: Settings, key: str) -> str:
    try:
        return Path(settings[key]).read_text(errors="replace")
    except OSError as error:
        raise StackgenError(
            f"{key}={settings[key]} cannot be read: {error.strerror}", f"set {key} in .env to a PEM file"
        ) from None


def _parsed(moment: str) -> datetime:
    return datetime.fromisoformat(moment.replace("Z", "+00:00"))


def _moment(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M} UTC"


def _off() -> StackgenError:
    return StackgenError("with TLS=off nginx has no certificate", "renew it in the proxy where TLS ends", USAGE)


def _remedy(settings: Settings) -> str:
    if settings["TLS"] == "files":
        return f"put the new files at {settings['TLS_CERT']} and {settings['TLS_KEY']}, then: stackgen tls reload"
    return "stackgen tls renew"


def _reachable(settings: Settings) -> str:
    forwarded = (
        f", which must be forwarded to HTTP_PORT={settings['HTTP_PORT']}" if settings["HTTP_PORT"] != "80" else ""
    )
    names = ", ".join([settings["DOMAIN"], *settings.aliases])
    return f"the authority must reach {names} on port 80{forwarded}: see DNS and the firewall, then stackgen tls renew"
