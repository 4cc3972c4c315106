"""`stackgen tls` on a whole stack: what an operator sees and does, for each value of TLS."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from acme_support import eventually

from stackgen import envfile
from stackgen.errors import USAGE
from tests.conftest import RunningStack, docker, log_of, stackgen
from tests.logins import up
from tests.providers import AcmeAuthority, Authority

DOMAIN = "math.example.org"


@contextmanager
def changed(stack: RunningStack, override: str = "", **settings: str) -> Iterator[None]:
    """The stack with these settings, brought up by `stackgen up`; afterwards it is as it was."""
    env, own = stack.directory / ".env", stack.directory / "compose.override.yaml"
    before, own_before = env.read_text(), own.read_text()
    try:
        envfile.write(env, envfile.updated(before, settings))
        own.write_text(override or own_before)
        up(stack)
        yield
    finally:
        env.write_text(before)
        own.write_text(own_before)
        up(stack)


def tls(stack: RunningStack, *command: str) -> str:
    """`stackgen tls ...`, which must work; what it said to people."""
    done = stackgen("tls", *command, "-C", stack.directory)
    assert done.returncode == 0, done.stderr
    return done.stderr


def status(stack: RunningStack) -> dict[str, Any]:
    """`stackgen tls status` for programs, whatever its exit code."""
    return dict(json.loads(stackgen("tls", "status", "--json", "-C", stack.directory).stdout))


def fingerprint(stack: RunningStack) -> str:
    """What tells one served certificate from another."""
    nginx = stack.compose("ps", "-q", "nginx")
    said = docker("exec", nginx, "certificate", "status")
    return dict(line.split("=", 1) for line in said.splitlines())["served"]


def test_a_self_signed_certificate_is_shown_and_made_anew(stack: RunningStack) -> None:
    found = status(stack)
    assert found["mode"] == "self-signed"
    assert found["attempt"] is None
    certificate = found["certificate"]
    assert certificate["names"] == ["localhost", "127.0.0.1", "0:0:0:0:0:0:0:1"]
    assert (certificate["self_signed"], certificate["served"], certificate["matches"]) == (True, True, True)
    assert certificate["days_left"] > 800
    shown = stackgen("tls", "status", "-C", stack.directory)
    assert shown.returncode == 0
    assert "days left     82" in shown.stdout
    before = fingerprint(stack)
    assert "new self-signed certificate" in tls(stack, "renew")
    eventually(lambda: fingerprint(stack) != before, lambda: "nginx goes on with the old one")
    assert "nginx serves the certificate" in tls(stack, "reload")
    assert stack.hub.answers()


def test_a_stack_that_is_down_says_so(tmp_path: Path) -> None:
    assert stackgen("init", tmp_path, "--set", "STACK_NAME=tlsdown").returncode == 0
    for command in ("status", "renew", "reload"):
        done = stackgen("tls", command, "-C", tmp_path)
        assert done.returncode == 1
        assert done.stderr == "error: the service nginx is not running\nhint: start it: stackgen up\n"


def test_without_tls_there_is_nothing_to_renew(stack: RunningStack) -> None:
    with changed(stack, TLS="off"):
        assert status(stack) == {"mode": "off", "certificate": None, "attempt": None}
        for command in ("renew", "reload"):
            done = stackgen("tls", command, "-C", stack.directory)
            assert done.returncode == USAGE
            assert "error: with TLS=off nginx has no certificate" in done.stderr


def test_files_that_were_replaced_are_served_after_a_reload(stack: RunningStack, tmp_path: Path) -> None:
    """Moved over the old ones, as careful people and certbot's hooks do."""
    authority = Authority(tmp_path)
    chain, key = tmp_path / "site.pem", tmp_path / "site.key"

    def put(host: str) -> None:
        folder = authority.leaf(host)
        for new, target in ((folder / "leaf.pem", chain), (folder / "leaf.key", key)):
            (target.parent / "new").write_bytes(new.read_bytes())
            (target.parent / "new").rename(target)

    put("localhost")
    with changed(stack, TLS="files", TLS_CERT=str(chain), TLS_KEY=str(key)):
        before = fingerprint(stack)
        assert status(stack)["certificate"]["served"]
        done = stackgen("tls", "renew", "-C", stack.directory)
        assert done.returncode == USAGE
        assert "then: stackgen tls reload" in done.stderr

        put("localhost")
        stale = stackgen("tls", "status", "-C", stack.directory)
        assert stale.returncode == 1
        assert "error: nginx serves another certificate than the one in place" in stale.stderr
        assert stale.stderr.rstrip().endswith("hint: stackgen tls reload")
        tls(stack, "reload")
        eventually(lambda: fingerprint(stack) != before, lambda: "nginx goes on with the old one")
        assert stackgen("tls", "status", "-C", stack.directory).returncode == 0

        # a mistake is told, and nothing happens
        right, good = fingerprint(stack), key.read_text()
        key.write_text("garbage\n")
        done = stackgen("tls", "reload", "-C", stack.directory)
        assert done.returncode == 1
        assert "error: there is no private key in TLS_KEY" in done.stderr
        key.unlink()
        done = stackgen("tls", "reload", "-C", stack.directory)
        assert done.returncode == 1
        assert f"error: TLS_KEY={key} cannot be read" in done.stderr
        assert fingerprint(stack) == right
        key.write_text(good)

        # a certificate that is not the site's is served, because it is the operator's, but it is told
        put("other.example.org")
        tls(stack, "reload")
        done = stackgen("tls", "status", "-C", stack.directory)
        assert done.returncode == 1
        assert "error: the certificate is not made for DOMAIN=localhost" in done.stderr
        put("localhost")
        tls(stack, "reload")


@pytest.fixture
def authority(stack: RunningStack, tmp_path: Path) -> Iterator[AcmeAuthority]:
    with AcmeAuthority(stack.name, Authority(tmp_path)) as authority:
        yield authority


def test_an_authority_certifies_the_site(stack: RunningStack, authority: AcmeAuthority) -> None:
    """From .env to a certificate, by nothing but `stackgen up`; and back."""
    pem = stack.directory / "authority.pem"
    pem.write_bytes(authority.authority.pem.read_bytes())
    override = f"""
services:
  nginx: {{ networks: {{ users: {{ aliases: [{DOMAIN}] }} }} }}
  certbot: {{ networks: [users], volumes: ["./authority.pem:/etc/ssl/certs/ca-certificates.crt:ro"] }}
"""
    with changed(stack, override, TLS="acme", DOMAIN=DOMAIN, ACME_SERVER=authority.directory):
        certbot = stack.compose("ps", "-q", "certbot")

        def is_certified() -> bool:
            certificate = status(stack)["certificate"]
            return certificate["served"] and not certificate["self_signed"]

        eventually(is_certified, lambda: log_of(certbot))
        shown = stackgen("tls", "status", "-C", stack.directory)
        assert shown.returncode == 0, shown.stderr
        assert f"names         {DOMAIN}\n" in shown.stdout
        assert "Caddy" in shown.stdout
        assert ", new\n" in shown.stdout
        assert json.loads(stackgen("status", "--json", "-C", stack.directory).stdout)["services"] == {
            "nginx": "healthy", "certbot": "running", "sage": "proved", "hub": "healthy",
        }  # fmt: skip

        before = fingerprint(stack)
        assert "fresh and was kept; --force" in tls(stack, "renew")
        assert fingerprint(stack) == before
        assert "there is a new certificate" in tls(stack, "renew", "--force")
        eventually(lambda: fingerprint(stack) != before, lambda: log_of(certbot))
        assert stack.hub.answers()

        # the authority is gone: the site goes on, and the reason is told
        authority.stop()
        done = stackgen("tls", "renew", "--force", "-C", stack.directory)
        assert done.returncode == 1
        assert "error: the authority has given no certificate: " in done.stderr
        assert f"hint: the authority must reach {DOMAIN} on port 80, which must be forwarded" in done.stderr
        shown = stackgen("tls", "status", "-C", stack.directory)
        assert shown.returncode == 0
        assert ", failed: " in shown.stdout
        authority.start_again()
    assert status(stack)["mode"] == "self-signed"
    docker("volume", "rm", f"{stack.name}-acme")
