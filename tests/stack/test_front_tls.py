"""How a browser's connection is secured: self-signed, the operator's own certificate, or another proxy's business."""

import socket
import ssl
from collections.abc import Iterator

import pytest
from front import STATE, Front, running_front

from tests.conftest import docker

pytestmark = pytest.mark.filterwarnings("ignore:Unverified HTTPS request")


@pytest.fixture(scope="module")
def front(nginx_image: str) -> Iterator[Front]:
    with running_front(nginx_image, DOMAIN="math.example.org") as front:
        yield front


def certificate(front: Front) -> str:
    """The certificate that nginx shows, PEM."""
    return ssl.get_server_certificate((front.address(front.backend), 443))


def is_valid_for(front: Front, name: str) -> bool:
    """Would a client that trusts the shown certificate accept it for this name or address?"""
    context = ssl.create_default_context(cadata=certificate(front))
    with socket.create_connection((front.address(front.backend), 443)) as connection:
        try:
            context.wrap_socket(connection, server_hostname=name).close()
        except ssl.SSLCertVerificationError:
            return False
    return True


def make_certificate(front: Front, name: str) -> None:
    """Put NAME's fullchain.pem and privkey.pem where the operator's files are mounted from."""
    docker("run", "--rm", "--entrypoint=openssl", f"--volume={front.certificates}:/out", front.image,
           "req", "-x509", "-newkey", "rsa:2048", "-noenc", "-days", "90", "-subj", f"/CN={name}",
           "-addext", f"subjectAltName=DNS:{name}",
           "-keyout", "/out/privkey.pem", "-out", "/out/fullchain.pem")  # fmt: skip


def test_the_self_signed_certificate_is_kept_over_restarts(front: Front) -> None:
    """A user who accepted the certificate once is not asked again."""
    before = certificate(front)
    front.restart()
    front.start()
    assert certificate(front) == before
    assert front.exec("stat", "-c", "%a %U", f"{STATE}/tls/privkey.pem") == "600 root"


@pytest.mark.parametrize(
    ("domain", "names"),
    [
        ("math.example.org", ["math.example.org"]),
        ("localhost", ["localhost", "127.0.0.1", "::1"]),
        ("192.0.2.7", ["192.0.2.7"]),
        ("2001:db8::7", ["2001:db8::7"]),
        (60 * "a" + ".example.org", [60 * "a" + ".example.org"]),
    ],
)
def test_the_certificate_is_made_for_the_domain(front: Front, domain: str, names: list[str]) -> None:
    """Another DOMAIN in .env gets another certificate, valid for that name and for no other."""
    front.start(DOMAIN="before.example.org")
    before = certificate(front)
    front.start(DOMAIN=domain)
    assert certificate(front) != before
    assert [name for name in names if not is_valid_for(front, name)] == []
    assert not is_valid_for(front, "before.example.org")


@pytest.mark.parametrize(
    "accident",
    [
        "rm tls/privkey.pem",
        "rm -r tls && touch tls",
        "truncate -s 100 tls/fullchain.pem",
        "truncate -s 0 tls/privkey.pem",
        "openssl ecparam -genkey -name prime256v1 -noout -out tls/privkey.pem",
        "mkdir tls.new && touch tls.new/privkey.pem && mv tls tls.old",
        "mkdir tls.old && touch tls.old/privkey.pem && rm -r tls",
        "openssl x509 -in tls/fullchain.pem -key tls/privkey.pem -days 29 -out tls/fullchain.pem",
    ],
)
def test_a_damaged_or_expiring_certificate_is_made_anew(front: Front, accident: str) -> None:
    """Whatever an interrupted start, a full disk or time did to the files, the next start serves https."""
    before = certificate(front)
    front.exec("bash", "-c", f"cd {STATE} && {accident}")
    front.restart()
    assert certificate(front) != before
    assert front.exec("bash", "-c", f"cd {STATE} && echo *") == "routes tls"


def test_the_operators_certificate_is_served(nginx_image: str) -> None:
    with Front(nginx_image, tls="files") as front:
        make_certificate(front, "own.example.org")
        front.start()
        assert certificate(front).split() == (front.certificates / "fullchain.pem").read_text().split()
        assert is_valid_for(front, "own.example.org")


@pytest.mark.parametrize("mistake", ["key of another certificate", "key missing", "key is no key"])
def test_a_certificate_that_cannot_work_is_refused_with_a_hint(nginx_image: str, mistake: str) -> None:
    with Front(nginx_image, tls="files") as front:
        make_certificate(front, "own.example.org")
        certificate, key = front.certificates / "fullchain.pem", front.certificates / "privkey.pem"
        if mistake == "key missing":
            key.unlink()
        elif mistake == "key is no key":
            key.write_text("not a key\n")
        else:
            own = certificate.read_bytes()
            make_certificate(front, "other.example.org")
            certificate.write_bytes(own)
        code, said = front.run_to_exit()
        assert code == 1
        error, hint = said.splitlines()
        assert error.startswith("error: ")
        assert hint.startswith("hint: ")
        assert "TLS_KEY" in hint


def test_a_missing_token_is_refused_with_a_hint(nginx_image: str) -> None:
    """Without the shared secret every call of the hub would fail later, with less to go by."""
    with Front(nginx_image, CONFIGPROXY_AUTH_TOKEN="") as front:
        code, said = front.run_to_exit()
        assert code == 1
        assert "error: CONFIGPROXY_AUTH_TOKEN is not set" in said


@pytest.mark.parametrize(("port", "suffix"), [("", ""), ("443", ""), ("8443", ":8443")])
def test_http_redirects_to_https(front: Front, port: str, suffix: str) -> None:
    """Host and path stay; the port is named when https is published on another one than 443."""
    front.start(DOMAIN="math.example.org", HTTPS_PORT=port)
    expected = f"https://math.example.org{suffix}/hub/login?next=%2Fhub%2F"
    for address in (front.address(front.backend), f"{front.address(front.backend)}:443"):  # also http:// to 443
        url = f"http://{address}/hub/login?next=%2Fhub%2F"
        answer = front.session.post(url, headers={"Host": "math.example.org:8080"}, allow_redirects=False)
        assert (answer.status_code, answer.headers["Location"]) == (308, expected)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
def test_old_tls_versions_are_refused_and_http2_is_offered(front: Front) -> None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2", "http/1.1"])
    for version, accepted in {ssl.TLSVersion.TLSv1_1: False, ssl.TLSVersion.TLSv1_2: True}.items():
        context.minimum_version = context.maximum_version = version
        context.set_ciphers("ALL:@SECLEVEL=0")
        with socket.create_connection((front.address(front.backend), 443)) as connection:
            if accepted:
                assert context.wrap_socket(connection).selected_alpn_protocol() == "h2"
            else:
                with pytest.raises(ssl.SSLError):
                    context.wrap_socket(connection)


@pytest.mark.parametrize(
    ("sent", "seen"),
    [(None, "http"), ("https", "https"), ("https,http", "https"), ("http, https", "http"), ("x", "http")],
)
def test_without_tls_the_proxy_in_front_is_believed(front_without_tls: Front, sent: str | None, seen: str) -> None:
    """TLS=off: another proxy holds the certificate and says how the browser came; one value goes on."""
    front = front_without_tls
    answer = front.request("/", headers={} if sent is None else {"X-Forwarded-Proto": sent})
    for header in ("X-Forwarded-Proto", "X-Scheme"):
        assert [value for name, value in answer.json()["headers"] if name == header] == [seen]


@pytest.fixture(scope="module")
def front_without_tls(nginx_image: str) -> Iterator[Front]:
    with running_front(nginx_image, tls="off") as front:
        front.add("/", front.upstream("hub").url)
        yield front
