"""A certificate is replaced while users work; and what is said of it to browsers and to the operator."""

import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from acme_support import eventually
from front import STATE, Front, running_front
from sslyze import (
    CertificateInfoExtraArgument,
    ScanCommandsExtraArguments,
    Scanner,
    ServerNetworkConfiguration,
    ServerNetworkLocation,
    ServerScanRequest,
)
from sslyze.mozilla_tls_profile.tls_config_checker import (
    SCAN_COMMANDS_NEEDED_BY_MOZILLA_CHECKER,
    MozillaTlsConfiguration,
    TlsConfigurationEnum,
    check_server_against_tls_configuration,
)

from tests.providers import Authority

pytestmark = pytest.mark.filterwarnings("ignore:Unverified HTTPS request")

DOMAIN = "math.example.org"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def front(nginx_image: str, authority: Authority) -> Iterator[Front]:
    """A site with the operator's own certificate, which an authority has signed."""
    with Front(nginx_image, "files", DOMAIN=DOMAIN) as front:
        replace_files(front, authority.leaf(DOMAIN))
        front.start()
        front.add("/", front.upstream("hub").url)
        yield front


def replace_files(front: Front, pair: Path) -> None:
    """As a careful operator does it: the new file is moved over the old one."""
    for name, source in {"fullchain.pem": "leaf.pem", "privkey.pem": "leaf.key"}.items():
        new = front.certificates / f"{name}.new"
        new.write_bytes((pair / source).read_bytes())
        new.rename(front.certificates / name)


def shown(front: Front) -> str:
    """The certificate that browsers see, PEM."""
    return ssl.get_server_certificate((front.address(front.backend), 443))


def certificate(front: Front, *command: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run `certificate` in the container."""
    return subprocess.run(
        ["docker", "exec", "-i", front.name, "certificate", *command],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
    )


def pem(front: Front) -> str:
    """The operator's files as `stackgen tls reload` passes them on."""
    return "".join((front.certificates / name).read_text() for name in ("fullchain.pem", "privkey.pem"))


def test_replaced_files_take_effect_and_no_connection_is_dropped(front: Front, authority: Authority) -> None:
    old = shown(front)
    kernel = front.websocket("/websocket")
    replace_files(front, authority.leaf(DOMAIN))
    done = certificate(front, "reload", "-", stdin=pem(front))
    assert done.returncode == 0, done.stderr
    new = (front.certificates / "fullchain.pem").read_text()
    assert new != old
    eventually(lambda: shown(front).split() == new.split(), front.logs)
    kernel.send("2+2")
    assert kernel.recv() == "2+2"
    assert front.exec("stat", "-c", "%a %U", "/run/stackgen/tls/privkey.pem") == "600 root"
    assert front.exec("sh", "-c", "ls /run/stackgen | grep given || true") == ""
    front.restart()
    assert shown(front).split() == new.split()


@pytest.mark.parametrize("mistake", ["another key", "no key", "no certificate", "garbage", "nothing", "half a key"])
def test_files_that_cannot_work_are_refused_and_the_old_ones_go_on(
    front: Front, authority: Authority, mistake: str
) -> None:
    old, right = shown(front), pem(front)
    chain, key = right[: right.index("-----BEGIN PRIVATE")], right[right.index("-----BEGIN PRIVATE") :]
    other = (authority.leaf("other.example.org") / "leaf.key").read_text()
    sent = {
        "another key": chain + other,
        "no key": chain,
        "no certificate": key,
        "garbage": "what was I doing\n",
        "nothing": "",
        "half a key": chain + key[:100],
    }
    done = certificate(front, "reload", "-", stdin=sent[mistake])
    assert done.returncode == 1
    error, hint = done.stderr.strip().splitlines()
    assert error.startswith("error: ")
    assert "TLS_KEY" in hint
    assert "BEGIN" not in done.stderr
    assert front.exec("sh", "-c", "ls /run/stackgen | grep given || true") == ""
    assert certificate(front, "reload", "-", stdin=right).returncode == 0
    assert shown(front) == old


def test_a_mistake_elsewhere_in_nginxs_configuration_is_named_and_all_stays(front: Front, authority: Authority) -> None:
    old = shown(front)
    drop_in = front.config / "conf.d" / "mine.conf"
    drop_in.write_text("sever { }\n")
    replace_files(front, authority.leaf(DOMAIN))
    done = certificate(front, "reload", "-", stdin=pem(front))
    assert done.returncode == 1
    assert "error: nginx refuses it, and goes on as it was" in done.stderr
    assert "mine.conf" in done.stderr
    assert shown(front) == old
    drop_in.unlink()
    assert certificate(front, "reload", "-", stdin=pem(front)).returncode == 0
    eventually(lambda: shown(front) != old, front.logs)


def test_browsers_are_bound_to_https_by_a_real_certificate_alone(front: Front) -> None:
    """For two years, as Mozilla advises; over http nothing is said; and a self-signed one changes it at once."""
    assert front.request("/").headers["Strict-Transport-Security"] == "max-age=63072000"
    redirect = front.session.get(front.url("/", "http"), allow_redirects=False)
    assert "Strict-Transport-Security" not in redirect.headers
    self_signed = front.exec("openssl", "req", "-x509", "-newkey", "rsa:2048", "-noenc", "-subj", f"/CN={DOMAIN}",
                             "-keyout", "-", "-out", "-")  # fmt: skip
    assert certificate(front, "reload", "-", stdin=self_signed + "\n").returncode == 0
    eventually(lambda: "Strict-Transport-Security" not in front.request("/").headers, front.logs)


def test_a_self_signed_certificate_can_be_made_anew(nginx_image: str) -> None:
    """It is for all names of the site, and stays."""
    with running_front(nginx_image, DOMAIN=DOMAIN, DOMAIN_ALIASES="www.example.org,192.0.2.7,2001:db8::7") as front:
        front.add("/", front.upstream("hub").url)
        old, kernel = shown(front), front.websocket("/websocket")
        assert certificate(front, "renew").returncode == 0
        eventually(lambda: shown(front) != old, front.logs)
        kernel.send("2+2")
        assert kernel.recv() == "2+2"
        said = dict(line.split("=", 1) for line in certificate(front, "status").stdout.splitlines())
        names = {name.partition(":")[2] for name in said["names"].split(", ")}
        assert names == {DOMAIN, "www.example.org", "192.0.2.7", "2001:DB8:0:0:0:0:0:7"}
        assert said["served"] == said["available"]
        new = shown(front)
        front.restart()
        assert shown(front) == new
        assert front.exec("sh", "-c", f"cd {STATE} && echo *") == "routes tls"
        front.start(DOMAIN_ALIASES="www.example.org")
        assert shown(front) == new
        front.start(DOMAIN_ALIASES="www.example.org,lab.example.org")
        assert shown(front) != new


@pytest.mark.filterwarnings("ignore:Parsed a serial number")  # of an authority in sslyze's own lists
def test_connections_are_as_mozilla_advises(front: Front, authority: Authority) -> None:
    """Its intermediate profile: versions, ciphers, curves, and no known weakness."""
    place = ServerNetworkLocation(DOMAIN, 443, ip_address=front.address(front.backend))
    scan = ServerScanRequest(
        place,
        ServerNetworkConfiguration(DOMAIN),
        SCAN_COMMANDS_NEEDED_BY_MOZILLA_CHECKER,
        ScanCommandsExtraArguments(CertificateInfoExtraArgument(custom_ca_file=authority.pem)),
    )
    scanner = Scanner()
    scanner.queue_scans([scan])
    [result] = scanner.get_results()
    profile = MozillaTlsConfiguration.get(TlsConfigurationEnum.MOZILLA_INTERMEDIATE)
    check_server_against_tls_configuration(result, profile)
