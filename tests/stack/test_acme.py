"""TLS=acme, against a real authority: the first certificate, its renewal, and all that may go wrong."""

import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from acme_support import ALIAS, DOMAIN, Site, eventually, site

from tests.conftest import docker
from tests.providers import AcmeAuthority

pytestmark = pytest.mark.filterwarnings("ignore:Unverified HTTPS request")


@pytest.fixture
def both(nginx_image: str, certbot_image: str, tmp_path: Path) -> Iterator[tuple[Site, AcmeAuthority]]:
    """A site without a certificate yet, and the authority."""
    with site(nginx_image, certbot_image, tmp_path) as (front, authority):
        yield front, authority


def test_the_first_certificate_comes_while_the_site_is_up(both: tuple[Site, AcmeAuthority]) -> None:
    """nginx starts with a self-signed one, and changes over by itself; nobody's connection is dropped."""
    front, authority = both
    assert not front.is_certified
    assert "Strict-Transport-Security" not in front.request("/").headers
    kernel = front.websocket("/websocket")
    front.start_certbot(authority.directory)
    shown = front.await_certificate()
    names = front.status()["names"]
    assert f"DNS:{DOMAIN}" in names
    assert f"DNS:{ALIAS}" in names
    kernel.send("2+2")
    assert kernel.recv() == "2+2"
    assert front.request("/").headers["Strict-Transport-Security"] == "max-age=63072000"
    assert front.attempt()["outcome"] == "new"

    # whatever is started anew finds the certificate, and the authority is not asked for another
    front.restart()
    assert front.certificate() == shown
    front.start()
    front.start_certbot(authority.directory)
    assert front.certificate() == shown
    asked_again = front.renew()
    assert (asked_again["outcome"], len(asked_again["issued"])) == ("kept", 1)
    assert docker("exec", front.certbot, "sh", "-c", "ls /var/lib/acme/*/accounts/*/*/ | wc -l") == "1"
    assert front.exec("stat", "-c", "%a %U", "/run/stackgen/tls/privkey.pem") == "600 root"

    # another one although the certificate is fresh
    assert front.renew("--force")["outcome"] == "new"
    front.await_certificate(other_than=shown)


def test_a_certificate_is_renewed_before_it_expires(both: tuple[Site, AcmeAuthority]) -> None:
    """Nobody does anything, and nobody's connection is dropped."""
    front, authority = both
    front.start_certbot(authority.directory)
    front.await_certificate()
    front.let_time_pass(timedelta(days=20))
    kernel = front.websocket("/websocket")
    front.await_certificate()
    assert front.attempt()["outcome"] == "new"
    kernel.send("2+2")
    assert kernel.recv() == "2+2"


def test_a_certificate_that_has_expired_is_served_until_there_is_a_new_one(both: tuple[Site, AcmeAuthority]) -> None:
    """The machine was off for too long, say: one that browsers have never seen would be no better."""
    front, authority = both
    front.start_certbot(authority.directory)
    front.await_certificate()
    docker("pause", authority.container)
    front.let_time_pass(timedelta(days=-1))
    eventually(front.is_expired, front.all_logs)
    expired = front.certificate()
    front.restart()
    assert front.certificate() == expired
    assert "warning: the certificate has expired" in front.logs()
    docker("unpause", authority.container)
    front.await_certificate()
    assert not front.is_expired()


def test_an_authority_that_cannot_reach_the_site_says_why_and_is_not_asked_again_at_once(
    both: tuple[Site, AcmeAuthority],
) -> None:
    """The site goes on meanwhile, with the certificate that it has."""
    front, authority = both
    front.start_certbot(authority.directory, DOMAIN_ALIASES="unknown.example.org")
    eventually(lambda: front.attempt().get("outcome") == "failed", front.all_logs)
    failed = front.attempt()
    assert failed["error"] == "unknown.example.org: The server could not connect to validation target"
    assert failed["next"] - failed["time"] == 600
    assert front.request("/").status_code == 200
    assert not front.is_certified


def test_failures_use_up_nothing_that_the_authority_limits(both: tuple[Site, AcmeAuthority]) -> None:
    """Five failures an hour are what Let's Encrypt allows: not by hand, not by starting anew, not by another wish."""
    front, authority = both
    nowhere = "https://nobody.test/directory"
    front.start_certbot(nowhere)
    eventually(lambda: front.attempt().get("outcome") == "failed", front.all_logs)
    front.start_certbot(nowhere)
    pauses = [round(status["next"] - status["time"]) for status in (front.attempt(), front.renew(), front.renew())]
    assert pauses == [600, 1200, 2400]
    assert [front.renew()["outcome"] for _ in range(3)] == ["failed", "failed", "refused"]
    front.start_certbot(authority.directory)
    assert front.renew()["outcome"] == "refused"
    assert len(front.attempt()["failures"]) == 5

    # an hour later
    front.write_attempt(failures=[moment - 3600 for moment in front.attempt()["failures"]])
    front.await_certificate()

    # and five certificates a week
    assert [front.renew("--force")["outcome"] for _ in range(5)] == ["new"] * 4 + ["refused"]


def test_an_attempt_that_was_cut_off_counts_and_leaves_nothing_in_the_way(both: tuple[Site, AcmeAuthority]) -> None:
    """A machine that goes down at the worst moment, again and again, does not use up what the authority allows."""
    front, authority = both
    docker("pause", authority.container)
    front.start_certbot(authority.directory)
    eventually(lambda: front.attempt().get("outcome") == "interrupted", front.all_logs)
    docker("kill", front.certbot)
    docker("unpause", authority.container)
    wreck = f"mkdir -p live/{DOMAIN} archive/{DOMAIN} renewal && touch renewal/{DOMAIN}.conf live/{DOMAIN}/README"
    docker("run", "--rm", f"--volume={front.acme}:/acme", "--entrypoint=sh", front.certbot_image,
           "-c", f"cd /acme && cd $(ls -d acme.test*) && {wreck}")  # fmt: skip
    docker("start", front.certbot)
    time.sleep(5)  # it must not try again by itself now
    cut = front.attempt()
    assert (cut["outcome"], len(cut["failures"])) == ("interrupted", 1)
    assert front.renew()["outcome"] == "new"
    front.await_certificate()


def test_another_authority_is_asked_at_once_and_coming_back_is_no_new_certificate(
    both: tuple[Site, AcmeAuthority],
) -> None:
    """As from Let's Encrypt's staging to the real one; the site is served with the old certificate meanwhile."""
    front, authority = both
    front.start_certbot(authority.directory)
    first = front.await_certificate()
    with AcmeAuthority(front.name, authority.authority, "other.test") as other:
        front.start_certbot(other.directory)
        second = front.await_certificate(other_than=first)
        front.start_certbot(authority.directory)
        assert front.await_certificate(other_than=second) == first
    assert front.attempt()["outcome"] == "kept"


def test_with_staging_browsers_are_not_bound_to_https(both: tuple[Site, AcmeAuthority]) -> None:
    """The certificate is signed by somebody, but nobody trusts them."""
    front, authority = both
    front.start_certbot(authority.directory)
    front.await_certificate()
    front.start(ACME_STAGING="true")
    assert front.is_certified
    assert "Strict-Transport-Security" not in front.request("/").headers


def test_half_a_certificate_is_never_served(both: tuple[Site, AcmeAuthority]) -> None:
    """Whatever lies in the volume, nginx goes on with what it has, and starts."""
    front, authority = both
    front.start_certbot(authority.directory)
    shown = front.await_certificate()
    docker("exec", front.certbot, "sh", "-c", "echo garbage > $(readlink -f /var/lib/acme/active/privkey.pem)")
    docker("exec", front.certbot, "sh", "-c", "echo >> $(readlink -f /var/lib/acme/active/fullchain.pem)")
    time.sleep(5)  # longer than nginx takes to look
    assert front.certificate() == shown
    front.restart()
    assert not front.is_certified
    assert front.request("/").status_code == 200
    assert front.renew()["outcome"] == "new"
    front.await_certificate()
