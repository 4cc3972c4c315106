"""Browsers come to nginx and reach the hub or a user's server."""

import json
import time

import pytest
from front import ROUTES_FILE, Front, running_front

from tests.stack.upstream import WAIT, Upstream

LONG_AGO = "2020-01-01T00:00:00.000Z"

pytestmark = pytest.mark.filterwarnings("ignore:Unverified HTTPS request")


@pytest.fixture(scope="module")
def front(shared_front: Front) -> Front:
    """Its routes last as long as the module's servers."""
    return shared_front


@pytest.fixture(scope="module")
def hub(front: Front) -> Upstream:
    hub = front.upstream("hub")
    front.add("/", hub.url)
    return hub


@pytest.fixture(scope="module")
def bob(front: Front, hub: Upstream) -> Upstream:
    bob = front.upstream("bob")
    front.add("/user/bob", bob.url)
    return bob


@pytest.fixture(scope="module")
def others(front: Front, bob: Upstream) -> None:
    """Servers below bob's and one whose name needs escapes."""
    front.add("/user/bob/one", front.upstream("bob-one").url)
    front.add("/user/bob/one/two/three/four", front.upstream("deep").url)
    front.add("/user/a@b.org", front.upstream("mail").url)


def headers(front: Front, **sent: str) -> dict[str, list[str]]:
    """The headers that bob's server saw; lower-case name -> each of its values."""
    seen: dict[str, list[str]] = {}
    request = {name.replace("_", "-"): value for name, value in sent.items()}
    for name, value in front.request("/user/bob/", headers=request).json()["headers"]:
        seen.setdefault(name.lower(), []).append(value)
    return seen


@pytest.mark.parametrize(
    ("path", "server"),
    [
        ("/", "hub"),
        ("/hub/login?next=%2F", "hub"),
        ("/user", "hub"),
        ("/user/bob", "bob"),
        ("/user/bob/", "bob"),
        ("/user/bob?x=1", "bob"),
        ("/user/bob/lab/tree/a%20b%2Fc.ipynb", "bob"),
        ("/user/bobby/lab", "hub"),
        ("/user/bob%20x", "hub"),
        ("/user/bob/one/api", "bob-one"),
        ("/user/bob/one/two/three/four/x", "deep"),
        ("/user/bob/one/two/three", "bob-one"),
        ("/user/a%40b.org/x", "mail"),
        ("/user/a@b.org/x", "mail"),
        ("/user/王/x", "hub"),
        ("/user/bob" + 200 * "/x", "bob"),
        ("/user/bob/" + 5000 * "x", "bob"),
        ("/user/bob" + 2500 * "/x", "bob"),
    ],
)
def test_the_longest_prefix_on_whole_segments_wins(front: Front, others: None, path: str, server: str) -> None:
    """A request reaches the server whose route matches most of its path, and arrives as it was sent."""
    answer = front.request(path).json()
    assert answer["server"] == server
    assert answer["path"] == path.replace("王", "%E7%8E%8B")


def test_a_target_with_a_path_is_put_before_the_requests_path(front: Front, bob: Upstream) -> None:
    """As configurable-http-proxy does it; a lone slash, easily typed in extra_routes, changes nothing."""
    front.add("/services/a", bob.url + "/")
    front.add("/services/b", bob.url + "/base/")
    assert front.request("/services/a/x?y=1").json()["path"] == "/services/a/x?y=1"
    assert front.request("/services/b/x?y=1").json()["path"] == "/base/services/b/x?y=1"


def test_the_server_learns_who_asked_and_how(front: Front, bob: Upstream) -> None:
    """Exactly one X-Forwarded-Proto, whatever the client claims: of two values tornado would believe the last."""
    seen = headers(front, Host="localhost:8443", X_Forwarded_Proto="http", X_Scheme="http", Forwarded="proto=http")
    assert seen["x-forwarded-proto"] == ["https"]
    assert seen["x-scheme"] == ["https"]
    assert "forwarded" not in seen
    assert seen["host"] == ["localhost:8443"]
    assert seen["connection"] == ["close"]
    assert "upgrade" not in seen
    [client] = seen["x-real-ip"]
    assert seen["x-forwarded-for"] == [client]
    assert headers(front, X_Forwarded_For="192.0.2.1")["x-forwarded-for"] == [client]


def test_a_websocket_passes_both_ways(front: Front, bob: Upstream) -> None:
    connection = front.websocket("/user/bob/websocket")
    for text in ("2+2", "plot(sin)"):
        connection.send(text)
        assert connection.recv() == text
    connection.close()


def test_activity_is_what_succeeds(nginx_image: str) -> None:
    """Pages and websockets keep a server from being culled; errors and redirects to the login page do not."""
    successes, failures = ["lab", "websocket", "status/304"], ["status/302", "status/403", "status/500", "status/503"]
    with running_front(nginx_image) as front:
        upstream = front.upstream("busy")
        route = {"target": upstream.url, "last_activity": LONG_AGO}
        front.write(ROUTES_FILE, json.dumps({f"/{page}": route for page in successes + failures}))
        front.restart()
        front.websocket("/websocket").close()
        for page in ["lab", "status/304", *failures]:
            front.request(f"/{page}")
        active = [path for path, route in front.routes().items() if route["last_activity"] != LONG_AGO]
        assert sorted(active) == sorted(f"/{page}" for page in successes)


def test_the_log_holds_no_query_strings(front: Front, bob: Upstream) -> None:
    front.request("/user/bob/seen?token=secret", headers={"Referer": "https://localhost/?token=secret"})
    assert '"GET /user/bob/seen HTTP/1.1" 200' in front.logs()
    assert "token=secret" not in front.logs()


def test_a_drop_in_of_the_operator_is_honoured(nginx_image: str) -> None:
    with Front(nginx_image) as front:
        drop_in = 'server { listen 80; server_name old.example.org; return 200 "moved\\n"; }'
        (front.config / "conf.d" / "old.conf").write_text(drop_in)
        front.start()
        answer = front.session.get(front.url("/", scheme="http"), headers={"Host": "old.example.org"})
        assert answer.text == "moved\n"


def test_a_hub_that_comes_back_with_another_address_is_found(nginx_image: str) -> None:
    """The hub's container is made anew by an upgrade; nginx goes on and finds it by its name."""
    with running_front(nginx_image) as front:
        front.add("/", "http://hub")

        def start_hub(name: str) -> None:
            """Debian's nginx as it comes: a server on port 80 that says Welcome."""
            front.run_beside(name, "--network-alias=hub", "--entrypoint=nginx", front.image, "-g", "daemon off;")
            deadline = time.monotonic() + WAIT
            while front.request("/").status_code == 503:
                assert time.monotonic() < deadline, front.logs()
                time.sleep(0.2)
            assert "Welcome to nginx" in front.request("/").text

        start_hub("old")
        front.remove_beside("old")
        front.run_beside("other", "--entrypoint=sleep", front.image, "infinity")  # takes the old hub's address
        start_hub("new")
