"""Who the client is, through other proxies or not; what protects logins; and the headers of every answer."""

from collections import Counter
from collections.abc import Iterator

import pytest
import requests
from front import Front, inspect

pytestmark = pytest.mark.filterwarnings("ignore:Unverified HTTPS request")

LOGINS = ("/hub/login", "/hub/signup", "/hub/change-password")
BURST = 100


def behind_proxy(nginx_image: str, tls: str, trusted: str) -> Iterator[Front]:
    """A front with a hub behind it; GATEWAY in `trusted` is the address that the test's requests come from."""
    with Front(nginx_image, tls=tls) as front:
        gateway = str(inspect(front.backend)["IPAM"]["Config"][0]["Gateway"])
        front.start(TRUSTED_PROXIES=trusted.replace("GATEWAY", gateway))
        front.add("/", front.upstream("hub").url)
        yield front


@pytest.fixture(scope="module")
def trusting(nginx_image: str) -> Iterator[Front]:
    """The tests themselves are a trusted proxy, and another one stands before it."""
    yield from behind_proxy(nginx_image, "off", "GATEWAY,203.0.113.0/24,2001:db8:f::/48")


@pytest.fixture(scope="module")
def distrustful(nginx_image: str) -> Iterator[Front]:
    """Only somebody else is trusted."""
    yield from behind_proxy(nginx_image, "self-signed", "203.0.113.0/24")


@pytest.fixture(scope="module")
def untold(nginx_image: str) -> Iterator[Front]:
    """Behind a proxy, but nobody has said which."""
    yield from behind_proxy(nginx_image, "off", "")


def seen(front: Front, **sent: str) -> dict[str, list[str]]:
    """The headers that the hub got, by lower-case name."""
    got: dict[str, list[str]] = {}
    for name, value in front.request("/", headers={k.replace("_", "-"): v for k, v in sent.items()}).json()["headers"]:
        got.setdefault(name.lower(), []).append(value)
    return got


@pytest.mark.parametrize(
    ("chain", "client"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("192.0.2.1, 203.0.113.9", "192.0.2.1"),
        ("198.51.100.66, 192.0.2.1, 203.0.113.9", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("192.0.2.1, 2001:db8:1::1, 2001:db8:f::9", "2001:db8:1::1"),
    ],
)
def test_a_trusted_proxy_is_believed_about_its_client(trusting: Front, chain: str, client: str) -> None:
    """The last address that is no trusted proxy's counts: what stands before it, that client may have invented."""
    got = seen(trusting, X_Forwarded_For=chain, X_Forwarded_Proto="https")
    assert got["x-forwarded-for"] == got["x-real-ip"] == [client]
    assert got["x-forwarded-proto"] == got["x-scheme"] == ["https"]


def test_a_stranger_is_not_believed(distrustful: Front) -> None:
    alone = seen(distrustful)
    got = seen(distrustful, X_Forwarded_For="192.0.2.1", X_Real_IP="192.0.2.1", X_Forwarded_Proto="http")
    assert got["x-forwarded-for"] == got["x-real-ip"] == alone["x-real-ip"] != ["192.0.2.1"]
    assert got["x-forwarded-proto"] == ["https"]


def test_without_tls_strangers_are_not_believed_either_once_proxies_are_named(nginx_image: str) -> None:
    for front in behind_proxy(nginx_image, "off", "203.0.113.0/24"):
        assert seen(front, X_Forwarded_Proto="https")["x-forwarded-proto"] == ["http"]


def test_a_proxy_that_nobody_has_named_is_believed_on_https_alone(untold: Front) -> None:
    """Without that no login would work; the client's address stays unknown."""
    got = seen(untold, X_Forwarded_For="192.0.2.1", X_Forwarded_Proto="https")
    assert got["x-forwarded-proto"] == ["https"]
    assert got["x-forwarded-for"] != ["192.0.2.1"]


def ask(front: Front, path: str, client: str = "", method: str = "POST") -> requests.Response:
    """A request that comes from this client, as the proxy in front says."""
    headers = {"X-Forwarded-For": client} if client else {}
    return front.request(path, method, headers=headers, data=b"form")


def answers(front: Front, count: int, path: str, client: str = "", method: str = "POST") -> Counter[int]:
    """How often each status came."""
    return Counter(ask(front, path, client, method).status_code for _ in range(count))


@pytest.mark.parametrize("number", range(len(LOGINS)))
def test_a_class_logs_in_at_once_and_a_guesser_is_stopped(trusting: Front, number: int) -> None:
    """Sixty people behind one address pass; whoever goes on and on gets a page in English and Chinese."""
    client, path = f"192.0.2.{100 + number}", LOGINS[number]
    assert answers(trusting, 60, path, client=client) == {200: 60}
    assert answers(trusting, 2 * BURST, f"{path}?next=%2Fhub%2F", client=client)[429] > 0
    other = answers(trusting, 2, path, client="192.0.2.99")
    assert other == {200: 2}
    while (refused := ask(trusting, "/hub/%6cogin", client)).ok:
        pass
    refused.encoding = "utf-8"
    assert refused.status_code == 429
    assert refused.headers["Retry-After"] == "10"
    assert "Too many logins" in refused.text
    assert "登录过于频繁" in refused.text
    # only logins are limited
    assert answers(trusting, 5, path, client, "GET") == {200: 5}
    assert answers(trusting, 5, "/hub/api/users", client=client) == {200: 5}


def test_whoever_owns_a_network_of_ipv6_is_one_client(trusting: Front) -> None:
    """An IPv6 user has 2^64 addresses; the neighbour's network is another."""
    clients = [f"2001:db8:1:a::{number:x}:{number:x}" for number in range(1, 3 * BURST)]
    assert 429 in {ask(trusting, "/hub/login", client).status_code for client in clients}
    assert answers(trusting, 2, "/hub/login", client="2001:db8:1:b::1") == {200: 2}


def test_when_clients_cannot_be_told_apart_none_is_limited(untold: Front) -> None:
    """Or one guesser would lock everybody out."""
    assert answers(untold, 3 * BURST, "/hub/login") == {200: 3 * BURST}


def test_every_answer_has_the_headers_that_protect_users(distrustful: Front) -> None:
    """The hub's pages, nginx's own, files, redirects and refusals; none twice, whatever the server behind says."""
    front = distrustful
    wanted = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "strict-origin-when-cross-origin"}
    front.add("/user/gone", "http://nobody:1")
    static = front.exec("sh", "-c", "cd /usr/share/stackgen/static/user && find static -name '*.js' | head -n 1")
    for url, host, status in (
        (front.url("/hub/headers"), "localhost", 200),
        (front.url("/user/gone/"), "localhost", 503),
        (front.url(f"/user/gone/{static}"), "localhost", 200),
        (front.url("/", "http"), "localhost", 308),
        (front.url("/"), "evil.example.org", 421),
    ):
        for accept in ("text/html", "application/json"):
            answer = front.session.get(url, headers={"Host": host, "Accept": accept}, allow_redirects=False)
            assert answer.status_code == status
            assert {name: answer.headers.get(name) for name in wanted} == wanted
            # a certificate that browsers do not trust must not bind them to https
            assert "Strict-Transport-Security" not in answer.headers


def test_servers_do_not_tell_what_they_are_or_claim_the_whole_site(distrustful: Front) -> None:
    """A user's server may not register a service worker for other users' pages."""
    answer = distrustful.request("/hub/headers")
    assert answer.headers["X-Of-The-Server"] == "yes"
    assert answer.headers.keys().isdisjoint({"X-JupyterHub-Version", "Service-Worker-Allowed"})
    assert answer.headers["Server"] == "nginx"
