"""The cases of configurable-http-proxy's own tests (5.x, test/*_spec.js), asked of the running nginx from outside.

api_spec    default target for / and any path, list, one route, 404    here: test_the_table_is_listed..., trie_root
            POST creates, also the root; URI escapes                   here, and test_front_api: escapes
            DELETE; inactiveSince and a bad date                       here, and test_front_api: inactive since
trie_spec   init, root, add, get, remove, subPaths, first leaf         here: trie_*; the sizes of nodes are inside CHP
store_spec  get, getAll, add, overwrite, remove, remove what is none   here: store
            "merges supplied data": an update that no API call makes   does not apply
proxy_spec  HTTP, websocket, each with its activity                    here: activity
            keep-alive towards the browser                             here
            target's path is put first, ?query, escapes, @             here: target with a path
            last_activity not updated on errors                        here: activity
            custom error target, backend down, no route                test_front_errors; no route and no hub: 503,
                                                                       since the hub adds "/" when it starts
            backend error ("/%", 500 from CHP)                         here: 400, and no server hears of it
            redirect location untouched                                here
            rewriting of Location, prependPath, includePrefix,         do not apply: options that JupyterHub does not
              defaultTarget, storageBackend, hostRouting, errorPath      set, or that stackgen does not offer
            proxyRequest event                                         does not apply: a hook of the Node.js module
            health check /_chp_healthz                                 port 8002 of nginx, as Docker asks for it
            internal ssl, unix sockets                                 do not apply: no such server in a stack
cli_spec    HTTPS, redirect to it                                      test_front_tls; the rest is CHP's command line
"""

import json
from datetime import UTC, datetime, timedelta
from http.client import HTTPResponse

import pytest
import websocket
from front import Front

from tests.stack.upstream import Upstream

pytestmark = pytest.mark.filterwarnings("ignore:Unverified HTTPS request")

PATHS = ["/1", "/2", "/a/b/c/d", "/a/b/d", "/a/b/e", "/b", "/b/c", "/b/c/d"]
AGO = "2020-01-01T00:00:00.000Z"


@pytest.fixture(scope="module")
def server(shared_front: Front) -> Upstream:
    return shared_front.upstream("server")


def add_all(front: Front, server: Upstream, *paths: str) -> None:
    """Routes to one server that can be told apart: each target has its own path, which the server sees."""
    for path in paths:
        front.add(path, f"{server.url}/of{path}/end")


def prefix(front: Front, path: str) -> str | None:
    """Which route answers for a path; None if none does."""
    answer = front.request(path)
    return answer.json()["path"].removeprefix("/of").partition("/end")[0] if answer.status_code == 200 else None


@pytest.mark.parametrize("path", ["/", "", "/any/random/url", "/1/etc/etc/"])
def test_trie_root(front: Front, server: Upstream, path: str) -> None:
    """The default target is for every path that has no other, and for / itself."""
    add_all(front, server, "/")
    assert prefix(front, path) == "/"


def test_trie_init_and_add(front: Front, server: Upstream) -> None:
    """An empty table leads nowhere; a route deep down is none for what is above it."""
    assert front.routes() == {}
    assert prefix(front, "/") is None
    add_all(front, server, "/foo", "/bar/leaf", "/a/b/c/d")
    assert [prefix(front, path) for path in ("/foo", "/bar/leaf", "/a/b/c/d")] == ["/foo", "/bar/leaf", "/a/b/c/d"]
    assert [prefix(front, path) for path in ("/", "/bar", "/a", "/a/b", "/a/b/c")] == [None] * 5


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/not/found", None),
        ("/1", "/1"),
        ("/1/etc/etc/", "/1"),
        ("/12", None),
        ("/a", None),
        ("/a/b/c", None),
        ("/a/b/c/d/e/f", "/a/b/c/d"),
        ("/b/c/d/word", "/b/c/d"),
        ("/b/c/dword", "/b/c"),
        ("/b//c///d", "/b/c/d"),
    ],
)
def test_trie_get(front: Front, server: Upstream, path: str, expected: str | None) -> None:
    add_all(front, server, *PATHS)
    assert prefix(front, path) == expected


def test_trie_remove(front: Front, server: Upstream) -> None:
    """A route that goes leaves those above and below it."""
    add_all(front, server, "/", *PATHS)
    assert prefix(front, "/b/just-b") == "/b"
    assert front.api("DELETE", "/b").status_code == 204
    assert prefix(front, "/b/just-b") == "/"
    assert prefix(front, "/b/c/sub-still-here") == "/b/c"
    assert front.api("DELETE", "/a/b/c/d").status_code == 204
    assert prefix(front, "/a/b/c/d/word") == "/"
    assert front.api("DELETE", "/").status_code == 204
    assert prefix(front, "/") is None
    assert prefix(front, "/a/b/e") == "/a/b/e"


def test_trie_sub_paths(front: Front, server: Upstream) -> None:
    asked = ["/prefix", "/prefix/sub", "/prefix/sub/tree"]
    add_all(front, server, "/")
    assert [prefix(front, path) for path in asked] == ["/", "/", "/"]
    add_all(front, server, "/prefix/sub/tree")
    assert [prefix(front, path) for path in asked] == ["/", "/", "/prefix/sub/tree"]
    add_all(front, server, "/prefix")
    assert [prefix(front, path) for path in asked] == ["/prefix", "/prefix", "/prefix/sub/tree"]
    assert front.api("DELETE", "/prefix/").status_code == 204
    assert [prefix(front, path) for path in asked] == ["/", "/", "/prefix/sub/tree"]


def test_store(front: Front, server: Upstream) -> None:
    """What was posted last is there, and only that; to remove what is not there does no harm."""
    front.add("/my-route", server.url, test="value", more={"kept": [1, "二"]})
    assert front.api("GET", "/my-route").json()["more"] == {"kept": [1, "二"]}
    front.add("/my-route", "http://updated.invalid", test="updatedValue")
    assert {key: front.routes()["/my-route"].get(key) for key in ("test", "more")} == {
        "test": "updatedValue",
        "more": None,
    }
    assert front.api("DELETE", "/no-route").status_code == 404
    assert front.api("GET", "/no-route").status_code == 404
    assert list(front.routes()) == ["/my-route"]


def test_the_table_is_listed_with_the_root_and_the_time_of_each_route(front: Front, server: Upstream) -> None:
    """POST answers 201 and DELETE 204, without a body; the list is JSON, with dates that can be compared."""
    answer = front.api("POST", "", json={"target": server.url})
    assert (answer.status_code, answer.content) == (201, b"")
    front.add("/user/foo%40bar", server.url)
    listed = front.api("GET")
    assert listed.headers["Content-Type"] == "application/json"
    assert listed.json().keys() == {"/", "/user/foo@bar"}
    for route in listed.json().values():
        age = datetime.now(UTC) - datetime.fromisoformat(route["last_activity"])
        assert abs(age) < timedelta(days=1)  # a date of now; how long the test took does not matter
    deleted = front.api("DELETE", "/user/foo@bar")
    assert (deleted.status_code, deleted.content) == (204, b"")


def test_activity(front: Front, server: Upstream) -> None:
    """Answers and websockets are activity; a dead server, an error and a refused websocket are none."""
    for path in ("/page", "/socket", "/failing", "/refused"):
        front.add(path, server.url)
    gone = front.upstream("gone")
    gone.stop()
    front.add("/missing", gone.url)
    front.save_activity(AGO)
    assert {route["last_activity"] for route in front.routes().values()} == {AGO}
    assert list(front.api("GET", params={"inactiveSince": "2019-12-31T00:00:00.000Z"}).json()) == []
    assert front.request("/page/x").status_code == 200
    front.websocket("/socket/websocket").close()
    assert front.request("/failing/status/404").status_code == 404
    assert front.request("/missing/prefix").status_code == 503
    for path in ("/missing/ws", "/refused/status/403"):
        with pytest.raises(websocket.WebSocketBadStatusException):
            front.websocket(path)
    inactive = front.api("GET", params={"inactiveSince": "2021-01-01T00:00:00.000Z"}).json()
    assert sorted(inactive) == ["/failing", "/missing", "/refused"]


def test_keep_alive_towards_the_browser(front: Front, server: Upstream) -> None:
    """A second request comes over the same connection."""
    front.add("/", server.url)
    with front.connect() as connection:
        for _ in range(2):
            connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            answer = HTTPResponse(connection)
            answer.begin()
            assert (answer.status, answer.headers["Connection"]) == (200, "keep-alive")
            assert json.loads(answer.read())["path"] == "/"


@pytest.mark.parametrize(
    ("route", "asked", "arrives"),
    [
        ("/bar", "/bar/rest/of/it", "/foo/bar/rest/of/it"),
        ("/bar", "/bar?query=foo", "/foo/bar?query=foo"),
        ("/b@r/b%20r", "/b%40r/b%20r/rest/of/it", "/foo/b%40r/b%20r/rest/of/it"),
        ("/b@r/b%20r", "/b@r/b%20r/rest/of/it", "/foo/b@r/b%20r/rest/of/it"),
        ("/bar", "/bar/%FF%E7", "/foo/bar/%FF%E7"),
    ],
)
def test_the_path_of_a_target_is_put_first(
    front: Front, server: Upstream, route: str, asked: str, arrives: str
) -> None:
    front.add(route, f"{server.url}/foo")
    assert front.request(asked).json()["path"] == arrives


@pytest.mark.parametrize("path", ["/%", "/user/%zz", "/user/bob/%00"])
def test_a_path_that_cannot_be_unescaped_reaches_nobody(front: Front, server: Upstream, path: str) -> None:
    front.add("/", server.url)
    with front.connect() as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        assert connection.recv(65536).startswith(b"HTTP/1.1 400")


def test_a_redirect_of_a_server_is_untouched(front: Front, server: Upstream) -> None:
    front.add("/external/urlpath", f"{server.url}/internal/urlpath/")
    answer = front.request("/external/urlpath/rest/of/it/redirect")
    assert answer.status_code == 301
    assert answer.headers["Location"] == "http://elsewhere.invalid:12345/whatever"
