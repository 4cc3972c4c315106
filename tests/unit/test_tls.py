"""What `stackgen tls` says of a certificate; what it does is proved on a real stack."""

from datetime import UTC, datetime, timedelta

import pytest
from unit_support import settings

from stackgen.settings import Settings
from stackgen.tls import Attempt, Certificate, TlsStatus

NOW = datetime.now(UTC)
ACME = settings(TLS="acme", DOMAIN="a.edu", DOMAIN_ALIASES="www.a.edu", HTTP_PORT="8080")
FILES = settings(TLS="files", TLS_CERT="/etc/a.pem", TLS_KEY="/etc/a.key")
FAILED = Attempt(NOW, "failed", "a.edu: no such host", NOW + timedelta(minutes=10))


def certificate(
    *,
    left: timedelta = timedelta(days=30, hours=1),
    self_signed: bool = False,
    served: bool = True,
    matches: bool = True,
) -> Certificate:
    """A certificate with this much time left."""
    until = NOW + left
    return Certificate(["a.edu"], "CN=R11", self_signed, until - timedelta(days=90), until, served, matches)


def said(chosen: Settings, found: Certificate, attempt: Attempt | None = None) -> list[tuple[str, str]]:
    """Each problem with its hint."""
    problems = TlsStatus(chosen["TLS"], found, attempt).problems(chosen)
    return [(problem.message, problem.hint) for problem in problems]


@pytest.mark.parametrize(
    ("chosen", "found"),
    [(ACME, certificate()), (FILES, certificate()), (settings(), certificate(self_signed=True))],
)
def test_a_certificate_that_works_is_no_problem(chosen: Settings, found: Certificate) -> None:
    assert said(chosen, found) == []


def test_a_failed_renewal_is_no_problem_yet() -> None:
    """There are weeks left for it; the status shows it."""
    assert said(ACME, certificate(), FAILED) == []
    assert ", failed: a.edu: no such host" in TlsStatus("acme", certificate(), FAILED).text()


def test_each_problem_says_what_to_do() -> None:
    expired = certificate(left=timedelta(hours=-1))
    assert expired.days_left == -1
    [(message, hint)] = said(FILES, expired)
    assert message == f"the certificate expired on {expired.valid_until:%Y-%m-%d}"
    assert hint == "put the new files at /etc/a.pem and /etc/a.key, then: stackgen tls reload"
    assert said(settings(), expired)[0][1] == "stackgen tls renew"
    assert said(FILES, certificate(matches=False))[0][0] == "the certificate is not made for DOMAIN=localhost"
    assert said(FILES, certificate(served=False)) == [
        ("nginx serves another certificate than the one in place", "stackgen tls reload")
    ]
    [(message, hint)] = said(ACME, certificate(self_signed=True), FAILED)
    assert message == "the authority has not given a certificate yet: a.edu: no such host"
    assert "must reach a.edu, www.a.edu on port 80, which must be forwarded to HTTP_PORT=8080" in hint


def test_the_status_is_for_people_and_for_programs() -> None:
    status = TlsStatus("acme", certificate(), FAILED)
    assert status.text().splitlines()[:3] == ["TLS           acme", "names         a.edu", "issuer        CN=R11"]
    assert "days left     30" in status.text()
    data = status.data()
    assert (data["mode"], data["certificate"]["days_left"], data["attempt"]["outcome"]) == ("acme", 30, "failed")
    assert datetime.fromisoformat(data["certificate"]["valid_until"]) == status.certificate.valid_until  # type: ignore[union-attr]
