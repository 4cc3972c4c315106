"""The site answers to its own names, and to no other."""

import socket
import ssl
from collections.abc import Iterator

import pytest
import requests
from front import Front, running_front

pytestmark = pytest.mark.filterwarnings("ignore:Unverified HTTPS request")

DOMAIN, ALIASES = "math.example.org", "www.math.example.org,192.0.2.7,2001:db8::7"
KNOWN = [DOMAIN, "MATH.Example.org", "math.example.org:8443", "www.math.example.org", "192.0.2.7", "[2001:db8::7]:443"]
UNKNOWN = ["evil.example.org", "localhost", "127.0.0.1", "example.org", "x.math.example.org", "math.example.org.evil"]


@pytest.fixture(scope="module")
def front(nginx_image: str) -> Iterator[Front]:
    with running_front(nginx_image, DOMAIN=DOMAIN, DOMAIN_ALIASES=ALIASES) as front:
        front.add("/", front.upstream("hub").url)
        yield front


def ask(front: Front, host: str, scheme: str = "", port: str = "") -> requests.Response:
    """A page of the site, by this name."""
    url = f"{scheme or front.scheme}://{front.address(front.backend)}{port}/hub/login"
    answer = front.session.get(url, headers={"Host": host}, allow_redirects=False)
    answer.encoding = "utf-8"
    return answer


def is_refused(answer: requests.Response) -> bool:
    """Refused with a sentence for the operator that does not say what the site is called."""
    sentences = "DOMAIN or DOMAIN_ALIASES" in answer.text and "管理员" in answer.text
    named = any(name in answer.text for name in (DOMAIN, *ALIASES.split(",")))
    return answer.status_code == 421 and sentences and not named


@pytest.mark.parametrize("host", KNOWN)
def test_the_sites_own_names_are_answered(front: Front, host: str) -> None:
    """With any port and in any case; and http:// leads to https:// under the name that was typed."""
    answer = ask(front, host)
    assert answer.status_code == 200
    assert ["Host", host] in answer.json()["headers"]
    bare = host.removesuffix(":8443").removesuffix(":443").lower()
    assert ask(front, host, "http").headers["Location"] == f"https://{bare}/hub/login"


@pytest.mark.parametrize("host", UNKNOWN)
def test_any_other_name_is_refused(front: Front, host: str) -> None:
    """Whatever the way: the hub never hears of the name, and no redirect leads there."""
    for answer in (ask(front, host), ask(front, host, "http"), ask(front, host, "http", ":443")):
        assert is_refused(answer)
        assert "Location" not in answer.headers


def raw(front: Front, *lines: str) -> str:
    """The first line of what nginx answers to a request that no browser sends."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connection = socket.create_connection((front.address(front.backend), 443), timeout=60)
    with context.wrap_socket(connection, server_hostname=DOMAIN) as tls:
        tls.sendall("\r\n".join([*lines, "Connection: close", "", ""]).encode())
        return tls.makefile().readline().strip()


def test_a_request_cannot_name_two_hosts(front: Front) -> None:
    """nginx goes by the request line, the hub would go by the Host header."""
    assert raw(front, f"GET https://{DOMAIN}/ HTTP/1.1", f"Host: {DOMAIN}:443").endswith("200 OK")
    assert " 421 " in raw(front, f"GET https://{DOMAIN}/ HTTP/1.1", "Host: evil.example.org")
    assert " 421 " in raw(front, "GET https://evil.example.org/ HTTP/1.1", f"Host: {DOMAIN}")
    assert " 421 " in raw(front, "GET / HTTP/1.0")


def test_localhost_is_known_by_its_addresses_too(nginx_image: str) -> None:
    with running_front(nginx_image) as front:
        front.add("/", front.upstream("hub").url)
        for host in ("localhost", "127.0.0.1:8443", "[::1]:8443"):
            assert ask(front, host).status_code == 200
        assert is_refused(ask(front, front.address(front.backend)))


def test_behind_another_proxy_names_count_as_well(nginx_image: str) -> None:
    with running_front(nginx_image, tls="off", DOMAIN=DOMAIN) as front:
        front.add("/", front.upstream("hub").url)
        assert ask(front, DOMAIN).status_code == 200
        assert is_refused(ask(front, "evil.example.org"))


@pytest.mark.parametrize(
    ("setting", "value"),
    [("DOMAIN_ALIASES", "a.example.org;b"), ("DOMAIN", "$host"), ("TRUSTED_PROXIES", "10.0.0.7; 10.0.0.8")],
)
def test_what_would_break_nginxs_configuration_is_refused_with_a_hint(
    nginx_image: str, setting: str, value: str
) -> None:
    """For those who run Compose without stackgen, which would have said it before."""
    with Front(nginx_image, **{setting: value}) as front:
        code, said = front.run_to_exit()
        assert code == 1
        error, hint = said.splitlines()
        assert error.startswith("error: ")
        assert setting in hint
