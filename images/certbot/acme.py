#!/usr/bin/python3
"""Gets the site's certificate from an ACME authority with certbot, and renews it for ever.

    acme                  go on for ever
    acme renew [--force]  try now, and print as JSON what came of it

Reads DOMAIN, DOMAIN_ALIASES (separated by commas), ACME_EMAIL, ACME_STAGING (true or false) and ACME_SERVER from the
environment. Everything is kept in /var/lib/acme:

    AUTHORITY/   certbot's folder: the account, the certificates. Whoever tries another authority and comes back finds
                 what was there.
    active       a link to the folder with fullchain.pem and privkey.pem that nginx serves
    webroot/     where nginx finds the answers to the authority's challenges
    status.json  the last attempt, and when the next one is due
"""

import fcntl
import json
import os
import random
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

HOME = Path("/var/lib/acme")
STATUS, ACTIVE, WEBROOT = HOME / "status.json", HOME / "active", HOME / "webroot"
LOG = Path("/var/log/letsencrypt/letsencrypt.log")  # of the last run
MINUTE, HOUR, DAY = 60, 3600, 86400  # seconds
POLL = 2  # seconds

# Let's Encrypt refuses a sixth failed validation of a name within an hour, and a sixth certificate for the same names
# within a week: https://letsencrypt.org/docs/rate-limits/. One of each is left for whoever tries by hand.
FAILURES_PER_HOUR = 4
CERTIFICATES_PER_WEEK = 4
PAUSES = (10 * MINUTE, 20 * MINUTE, 40 * MINUTE, HOUR)  # after the first failure, the second, ...
USUAL_PAUSE = 12 * HOUR  # what Let's Encrypt asks for: twice a day, at a random minute

Status = dict[str, Any]  # what status.json holds


class Certificate:
    """What certbot is asked for."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.names = [environment["DOMAIN"], *filter(None, environment.get("DOMAIN_ALIASES", "").split(","))]
        self.email = environment.get("ACME_EMAIL", "")
        self.server = environment.get("ACME_SERVER", "")
        self.staging = environment.get("ACME_STAGING") == "true"
        if self.server:
            self.authority = re.sub(r"[^A-Za-z0-9.]+", "-", self.server.partition("://")[2])
        else:
            self.authority = "letsencrypt-staging" if self.staging else "letsencrypt"
        self.folder = HOME / self.authority
        self.live = self.folder / "live" / self.names[0]

    @property
    def request(self) -> dict[str, str | list[str]]:
        """Tells one wish from another, in status.json."""
        return {"authority": self.authority, "names": self.names}

    def command(self) -> list[str]:
        """certbot's argument list for a new certificate."""
        server = ["--server", self.server] if self.server else ["--staging"] if self.staging else []
        account = ["--email", self.email] if self.email else ["--register-unsafely-without-email"]
        names = [word for name in self.names for word in ("--domain", name)]
        return [
            "certbot", "certonly", "--non-interactive", "--agree-tos", "--webroot", "--webroot-path", str(WEBROOT),
            "--config-dir", str(self.folder), "--cert-name", self.names[0], "--renew-with-new-domains",
            "--force-renewal", *server, *account, *names,
        ]  # fmt: skip

    def valid(self) -> tuple[float, float]:
        """When the certificate at hand begins and ends, seconds since the epoch; ValueError if there is none."""
        shown = self._openssl("x509", "fullchain.pem", "-noout", "-dates", "-dateopt", "iso_8601")
        dates = re.findall(r"=(.*)Z$", shown, flags=re.MULTILINE)
        begins, ends = (datetime.fromisoformat(f"{date}+00:00").timestamp() for date in dates)
        return begins, ends

    def is_due(self) -> bool:
        """Whether it is time for a new certificate.

        As certbot 4 is documented to do it: when a third of its time is left, or half of a short time. (Debian's takes
        30 days for the default, so it would renew whatever lasts for less at each call.)
        """
        shown = self._openssl("x509", "fullchain.pem", "-noout", "-ext", "subjectAltName")
        if set(re.findall(r"DNS:([^\s,]+)", shown)) != set(self.names) or not self.is_whole():
            return True
        begins, ends = self.valid()
        return ends - time.time() < (ends - begins) / (2 if ends - begins < 10 * DAY else 3)

    def is_whole(self) -> bool:
        """Whether certbot's settings, the certificate and the key are there and belong together."""
        of_certificate = self._openssl("x509", "fullchain.pem", "-noout", "-pubkey")
        settings = self.folder / "renewal" / f"{self.names[0]}.conf"
        same = bool(of_certificate) and of_certificate == self._openssl("pkey", "privkey.pem", "-pubout")
        return same and settings.exists() and settings.stat().st_size > 0

    def _openssl(self, command: str, file: str, *options: str) -> str:
        """What openssl says about a file of the certificate; nothing if it cannot read it."""
        arguments = ["openssl", command, "-in", str(self.live / file), *options]
        done = subprocess.run(arguments, capture_output=True, text=True, check=False)
        return done.stdout

    def clear_wreckage(self) -> None:
        """Remove what a certbot that was killed has left half-made, over which it would stumble for ever."""
        if not self.is_whole():
            (self.folder / "renewal" / f"{self.names[0]}.conf").unlink(missing_ok=True)
            for folder in ("live", "archive"):
                shutil.rmtree(self.folder / folder / self.names[0], ignore_errors=True)


@contextmanager
def locked() -> Iterator[None]:
    """One attempt at a time."""
    with (HOME / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def read_status() -> Status:
    """The last attempt; nothing is known if there was none or the file is damaged."""
    try:
        status = json.loads(STATUS.read_text())
        return status if isinstance(status, dict) else {}
    except (OSError, ValueError):
        return {}


def write_status(status: Status) -> None:
    """Replace the file whole."""
    temporary = STATUS.with_suffix(".tmp")
    temporary.write_text(json.dumps(status, indent=2) + "\n")
    temporary.replace(STATUS)


def since(status: Status, key: str, seconds: float) -> list[float]:
    """The times in this list of the status that are not longer ago."""
    return [moment for moment in status.get(key, []) if moment > time.time() - seconds]


def seconds_left(certificate: Certificate, status: Status) -> float:
    """How long to wait until the next attempt; 0 if it is due."""
    failures = since(status, "failures", HOUR)
    if len(failures) >= FAILURES_PER_HOUR:
        return failures[0] + HOUR - time.time()
    if status.get("request") != certificate.request:
        return 0
    return max(0.0, float(status["next"]) - time.time())


def attempt(certificate: Certificate, *, force: bool = False) -> Status:
    """Get a certificate if it is time for one. The status, which is written down. Whoever calls holds the lock."""
    began, status = time.time(), read_status()
    again = status.get("request") == certificate.request
    streak = status.get("streak", 0) + 1 if again else 1
    status = {
        "request": certificate.request,
        "time": began,
        "outcome": "interrupted",
        "error": "it was interrupted",
        "next": began + PAUSES[min(streak, len(PAUSES)) - 1],
        "streak": streak,
        "failures": [*since(status, "failures", HOUR), began],
        "issued": since(status, "issued", 7 * DAY),
    }
    write_status(status)  # counts as a failure until it is known to be none, also if the machine goes down now
    new = force or certificate.is_due()
    error = ask(certificate) if new else ""
    if error:
        status |= {"outcome": "failed", "error": error}
    else:
        publish(certificate)
        begins, ends = certificate.valid()
        pause = min(USUAL_PAUSE, (ends - begins) / 12)
        status |= {
            "outcome": "new" if new else "kept",
            "error": "",
            "next": time.time() + pause * random.uniform(0.5, 1),  # noqa: S311  # jitter
            "streak": 0,
            "failures": status["failures"][:-1],
            "issued": status["issued"] + [began] * new,
        }
    write_status(status)
    return status


def ask(certificate: Certificate) -> str:
    """Call certbot once, and return why it failed; nothing if it did not."""
    certificate.clear_wreckage()
    done = subprocess.run(
        certificate.command(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, check=False,
    )  # fmt: skip
    print(done.stdout, end="", file=sys.stderr, flush=True)
    return reason(done.stdout) if done.returncode else ""


def publish(certificate: Certificate) -> None:
    """Let nginx find the certificate."""
    temporary = ACTIVE.with_suffix(".tmp")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(certificate.live.relative_to(HOME))
    temporary.replace(ACTIVE)


def reason(output: str) -> str:
    """What certbot's output says about a failure, in one line: the authority's own words, if there are any."""
    details = re.findall(r"^ *Domain: (.+)\n *Type: .+\n *Detail: (.+(?:\n(?! *(?:Domain|Hint)|$).+)*)", output, re.M)
    if details:
        return "; ".join(f"{name}: {' '.join(detail.split())}" for name, detail in details)
    if unchecked := unfinished():
        return "; ".join(f"{name}: {detail}" for name, detail in unchecked.items())
    ignored = re.compile("Saving debug|Account reg|Requesting a|Renewing|An unexpected|Ask for|See the|^[- ]*$")
    lines = [line for line in output.splitlines() if not ignored.search(line)]
    return " ".join(lines[-3:]) or "certbot failed and did not say why"


def unfinished() -> dict[str, str]:
    """Why names are not certified yet, from certbot's log: step-ca, for one, never calls a check failed."""
    details: dict[str, str] = {}
    for line in LOG.read_text(errors="replace").splitlines() if LOG.exists() else []:
        if line.startswith('{"identifier"'):
            found = json.loads(line)
            for challenge in found.get("challenges", []):
                if "error" in challenge:
                    details[found["identifier"]["value"]] = challenge["error"].get("detail", "not reachable")
    return details


def refusal(status: Status) -> str:
    """Why one should not try by hand just now; empty if one may."""
    if len(since(status, "failures", HOUR)) > FAILURES_PER_HOUR:
        return "it failed too often within an hour: the authority would refuse for longer"
    if len(since(status, "issued", 7 * DAY)) > CERTIFICATES_PER_WEEK:
        return "there were five new certificates within a week: the authority gives no more"
    return ""


def renew(certificate: Certificate, *, force: bool) -> None:
    """Try now, because somebody has asked for it."""
    with locked():
        status = read_status()
        if why := refusal(status):
            status = status | {"outcome": "refused", "error": why}
        else:
            status = attempt(certificate, force=force)
    print(json.dumps(status))


def go_on(certificate: Certificate) -> None:
    """Try whenever it is due."""
    while True:
        with locked():
            if seconds_left(certificate, read_status()) <= 0:
                status = attempt(certificate)
                due = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(status["next"]))
                print(f"{status['outcome']}{': ' * bool(status['error'])}{status['error']}; next: {due}", flush=True)
        time.sleep(POLL)


def main() -> None:
    os.umask(0o022)  # nginx's workers read webroot/; certbot itself keeps its keys to root
    WEBROOT.mkdir(parents=True, exist_ok=True)
    certificate = Certificate(os.environ)
    match sys.argv[1:]:
        case []:
            go_on(certificate)
        case ["renew", *options] if set(options) <= {"--force"}:
            renew(certificate, force="--force" in options)
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
