"""What the certbot container asks for, and what it makes of the answers that no authority of a test gives."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from unit_support import ROOT

# as certbot 4 prints it (certbot/_internal/auth_handler.py) with what Let's Encrypt says
UNREACHABLE = """\
Saving debug log to /var/log/letsencrypt/letsencrypt.log
Requesting a certificate for math.example.edu and www.math.example.edu

Certbot failed to authenticate some domains (authenticator: webroot). The Certificate Authority reported these problems:
  Domain: math.example.edu
  Type:   connection
  Detail: 192.0.2.7: Fetching http://math.example.edu/.well-known/acme-challenge/x: Timeout during connect (likely
firewall problem)

  Domain: www.math.example.edu
  Type:   dns
  Detail: DNS problem: NXDOMAIN looking up A for www.math.example.edu

Hint: The Certificate Authority failed to download the temporary challenge files created by Certbot.

Some challenges have failed.
Ask for help or search for solutions at https://community.letsencrypt.org. See the logfile for more details.
"""
LIMITED = """\
Saving debug log to /var/log/letsencrypt/letsencrypt.log
Requesting a certificate for math.example.edu
An unexpected error occurred:
Error creating new order :: too many certificates (5) already issued for this exact set of domains in the last 168h
Ask for help or search for solutions at https://community.letsencrypt.org. See the logfile for more details.
"""


@pytest.fixture
def acme(tmp_path: Path) -> ModuleType:
    """The program of the certbot container, with its folder elsewhere."""
    spec = importlib.util.spec_from_file_location("acme", ROOT / "images/certbot/acme.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.LOG = tmp_path / "none.log"
    return module


@pytest.mark.parametrize(
    ("environment", "authority", "words"),
    [
        ({}, "letsencrypt", []),
        ({"ACME_STAGING": "false", "ACME_SERVER": ""}, "letsencrypt", []),
        ({"ACME_STAGING": "true"}, "letsencrypt-staging", ["--staging"]),
        (
            {"ACME_SERVER": "https://acme.example.edu:8443/acme/x/directory"},
            "acme.example.edu-8443-acme-x-directory",
            ["--server", "https://acme.example.edu:8443/acme/x/directory"],
        ),
    ],
)
def test_each_authority_has_a_folder_of_its_own(
    acme: ModuleType, environment: dict[str, str], authority: str, words: list[str]
) -> None:
    """So nothing that one has given is taken for another's, and who comes back from staging has no certificate yet."""
    asked = acme.Certificate({"DOMAIN": "math.example.edu"} | environment)
    assert asked.authority == authority
    command = asked.command()
    assert command[command.index("--config-dir") + 1] == f"/var/lib/acme/{authority}"
    assert [word for word in command if word in ("--staging", "--server") or word in words] == words


def test_all_names_are_asked_for(acme: ModuleType) -> None:
    command = acme.Certificate(
        {"DOMAIN": "a.edu", "DOMAIN_ALIASES": "b.edu,c.edu", "ACME_EMAIL": "ada@a.edu"}
    ).command()
    assert command[-8:] == ["--email", "ada@a.edu", "--domain", "a.edu", "--domain", "b.edu", "--domain", "c.edu"]
    assert "--register-unsafely-without-email" in acme.Certificate({"DOMAIN": "a.edu", "ACME_EMAIL": ""}).command()


def test_the_authoritys_own_words_are_the_reason(acme: ModuleType) -> None:
    assert acme.reason(UNREACHABLE) == (
        "math.example.edu: 192.0.2.7: Fetching http://math.example.edu/.well-known/acme-challenge/x: Timeout during"
        " connect (likely firewall problem); www.math.example.edu: DNS problem: NXDOMAIN looking up A for"
        " www.math.example.edu"
    )
    assert acme.reason(LIMITED) == (
        "Error creating new order :: too many certificates (5) already issued for this exact set of domains"
        " in the last 168h"
    )
    assert acme.reason("") == "certbot failed and did not say why"


def test_failures_stay_below_what_lets_encrypt_allows(acme: ModuleType) -> None:
    """Five within an hour, whenever the hour begins; one is left for the operator."""
    times = [0]
    for streak in range(1, 20):
        times.append(times[-1] + acme.PAUSES[min(streak, len(acme.PAUSES)) - 1])
    assert max(sum(begin <= time < begin + 3600 for time in times) for begin in times) <= 4


def test_a_damaged_note_is_as_good_as_none(acme: ModuleType, tmp_path: Path) -> None:
    acme.STATUS = tmp_path / "status.json"
    asked = acme.Certificate({"DOMAIN": "a.edu"})
    for text in ("", "{", "[]", '{"request": '):
        acme.STATUS.write_text(text)
        assert acme.read_status() == {}
        assert acme.seconds_left(asked, acme.read_status()) == 0
