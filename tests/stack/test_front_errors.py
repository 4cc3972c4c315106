"""A server that does not answer: the user sees the hub's page, or nginx's own, and never the bare page of nginx."""

import json
from http.client import HTTPResponse

import pytest
import websocket
from front import Front, running_front

from tests.stack.upstream import Upstream

pytestmark = pytest.mark.filterwarnings("ignore:Unverified HTTPS request")

HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
ASKED = "/user/bob/lab/tree/a%20b&c.ipynb"


@pytest.fixture
def hub(front: Front) -> Upstream:
    hub = front.upstream("hub")
    front.add("/", hub.url)
    return hub


def dead(front: Front) -> str:
    """Where a server was."""
    upstream = front.upstream("dead")
    upstream.stop()
    return upstream.url


@pytest.fixture
def bob(front: Front, hub: Upstream) -> None:
    """A route to a server that is gone."""
    front.add("/user/bob", dead(front))


def assert_own_page(front: Front, path: str, method: str = "GET") -> None:
    """nginx's page, in English and Chinese, which tries again by itself."""
    page = front.request(path, method, headers=HTML)
    page.encoding = "utf-8"
    assert page.status_code == 503
    assert page.headers["Content-Type"] == "text/html"
    assert 'http-equiv="refresh"' in page.text
    assert "One moment" in page.text
    assert "请稍候" in page.text
    assert page.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
def test_a_browser_gets_the_hubs_page_for_a_server_that_is_gone(front: Front, bob: None, method: str) -> None:
    """As configurable-http-proxy's --error-target does it: the page comes from the hub, the status is 503."""
    page = front.request(f"{ASKED}?token=secret", method, headers=HTML, data=b"a form" if method == "POST" else None)
    assert page.status_code == 503
    assert page.headers["Content-Type"] == "text/html"
    assert page.headers["Cache-Control"] == "no-store"
    assert page.headers["Retry-After"] == "5"
    assert page.json()["server"] == "hub"
    assert page.json()["method"] == "GET"
    assert page.json()["path"] == "/hub/error/503?url=%2Fuser%2Fbob%2Flab%2Ftree%2Fa%2520b%26c.ipynb"


def test_the_hub_is_told_the_path_and_the_language_and_no_more(front: Front, bob: None) -> None:
    """No cookie and no token of the user goes there, and no cookie of the hub's comes back."""
    personal = {"Cookie": "jupyterhub-session-id=1", "Authorization": "token 1", "Accept-Language": "zh-CN,zh;q=0.9"}
    page = front.request("/user/bob/lab", headers={**HTML, **personal, "Host": "localhost:8443"})
    seen = {name.lower(): value for name, value in page.json()["headers"]}
    assert seen == {"host": "localhost:8443", "accept-language": "zh-CN,zh;q=0.9", "connection": "close"}
    assert "Set-Cookie" not in page.headers


def test_an_upload_that_nobody_takes_gets_the_page_too(front: Front, bob: None) -> None:
    page = front.request("/user/bob/files/x", "POST", headers=HTML, data=iter([b"in", b"chunks"]))
    assert (page.status_code, page.json()["path"]) == (503, "/hub/error/503?url=%2Fuser%2Fbob%2Ffiles%2Fx")
    seen = {name.lower() for name, _ in page.json()["headers"]}
    assert not seen & {"transfer-encoding", "content-length", "content-type"}


@pytest.mark.parametrize("path", [b"/user/bob/\xff", b"/user/bob/%ff", "/user/bob/王".encode(), b"/user/bob/%E7%8E%8B"])
def test_a_path_in_any_encoding_gets_the_page(front: Front, bob: None, path: bytes) -> None:
    with front.connect() as connection:
        connection.sendall(b"GET " + path + b" HTTP/1.1\r\nHost: localhost\r\nAccept: text/html\r\n\r\n")
        answer = HTTPResponse(connection)
        answer.begin()
        assert (answer.status, json.loads(answer.read())["server"]) == (503, "hub")


def test_scripts_and_websockets_get_the_status_alone(front: Front, bob: None) -> None:
    script = front.request("/user/bob/api/kernels", headers={"Accept": "application/json"})
    assert (script.status_code, script.text) == (503, "unavailable\n")
    with pytest.raises(websocket.WebSocketBadStatusException) as refused:
        front.websocket("/user/bob/websocket")
    assert refused.value.status_code == 503


@pytest.mark.parametrize("target", ["none", "refuses", "has no such name"])
def test_without_a_hub_nginx_has_a_page_that_reloads(nginx_image: str, target: str) -> None:
    """The hub is not yet there, or no longer: for its own pages and for those of a server that is gone as well."""
    with running_front(nginx_image) as front:
        if target != "none":
            front.add("/", dead(front) if target == "refuses" else "http://hub:8081")
            front.add("/user/eve", dead(front))
        for path in ("/hub/login", "/user/bob/", "/user/eve/"):
            for method in ("GET", "POST"):
                assert_own_page(front, path, method)
        script = front.request("/user/bob/api/kernels", headers={"Accept": "application/json"})
        assert (script.status_code, script.text) == (503, "unavailable\n")


@pytest.mark.parametrize("status", [302, 404, 429, 500, 503])
def test_a_hub_that_has_no_error_page_is_not_shown(front: Front, hub: Upstream, bob: None, status: int) -> None:
    """It may have trouble of its own; whatever it says would be no page about the user's server."""
    hub.error_page_status = status
    assert_own_page(front, "/user/bob/lab")


def test_a_hub_that_hangs_does_not_keep_the_user(front: Front, bob: None) -> None:
    """Its error page is waited for a few seconds, not for a day as other answers are."""
    silent = front.upstream("silent")
    front.add("/", f"{silent.url}/silent?")
    assert_own_page(front, "/user/bob/lab")


def test_a_server_that_closes_without_an_answer(front: Front, hub: Upstream) -> None:
    """It is being stopped: the connection is taken and dropped."""
    front.add("/user/eve", front.upstream("eve").url)
    assert front.request("/user/eve/nothing", headers=HTML).json()["server"] == "hub"
    assert front.request("/user/eve/nothing").status_code == 503


def test_a_server_that_breaks_off_ends_the_answer(front: Front, hub: Upstream) -> None:
    """The browser sees that something is missing: neither silence, nor bytes of something else in its place."""
    front.add("/user/eve", front.upstream("eve").url)
    with front.connect() as connection:
        connection.sendall(b"GET /user/eve/broken HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = HTTPResponse(connection)
        answer.begin()
        assert (answer.status, answer.length) == (200, 1000)
        received = b""
        while block := connection.recv(65536):
            received += block
        assert received in (b"", b"the beginning")  # what the first read did not take already


@pytest.mark.parametrize("code", [404, 500, 502, 503, 504])
def test_a_servers_own_error_page_passes_through(front: Front, hub: Upstream, code: int) -> None:
    """The hub answers 503 with a page of its own (start my server), which the user must see."""
    front.add("/user/eve", front.upstream("eve").url)
    answer = front.request(f"/user/eve/status/{code}", headers=HTML)
    assert (answer.status_code, answer.text) == (code, "{}")


def test_a_server_with_a_new_address_is_found_at_once(front: Front, hub: Upstream) -> None:
    """The hub starts a user's server anew, elsewhere, and says so: the very next request goes there."""
    old, new = front.upstream("old"), front.upstream("new")
    front.add("/user/mary", old.url)
    assert front.request("/user/mary/lab").json()["server"] == "old"
    old.stop()
    assert front.request("/user/mary/lab", headers=HTML).json()["server"] == "hub"
    front.add("/user/mary", new.url)
    assert front.request("/user/mary/lab").json()["server"] == "new"
