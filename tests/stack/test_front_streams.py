"""What streams goes straight through nginx, both ways and of any length, and stays apart from what others get."""

import hashlib
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from front import Front

from tests.stack.upstream import MEGABYTE, WAIT, Upstream

pytestmark = pytest.mark.filterwarnings("ignore:Unverified HTTPS request")


@pytest.fixture
def bob(front: Front) -> Upstream:
    bob = front.upstream("bob")
    front.add("/user/bob", bob.url)
    return bob


@contextmanager
def no_disk(front: Front) -> Iterator[None]:
    """nginx makes no temporary file: even one that is removed at once leaves its trace in the folder's time."""

    def folders() -> str:
        return front.exec("find", "/var/lib/nginx", "-printf", "%p %T@\n")

    before = folders()
    assert "/var/lib/nginx/body" in before
    assert "/var/lib/nginx/proxy" in before
    yield
    assert folders() == before


def curl(front: Front, path: str, *options: str) -> list[str]:
    """The command for an HTTP/2 client, which browsers are; it runs beside nginx and writes the version at the end."""
    url = f"https://localhost{path}"
    return [
        "docker",
        "exec",
        "-i",
        front.name,
        "curl",
        "-ksSN",
        "--http2",
        "-w",
        "\nHTTP/%{http_version}",
        *options,
        url,
    ]


def test_a_large_upload_streams_through(front: Front, bob: Upstream) -> None:
    """300 MB of unknown length arrive whole; the server has the beginning before the browser sends the rest."""
    began = []

    def body() -> Iterator[bytes]:
        yield MEGABYTE
        began.append(bob.upload_began.wait(WAIT))
        for _ in range(299):
            yield MEGABYTE

    with no_disk(front):
        answer = front.request("/user/bob/upload", "POST", data=body()).json()
    assert began == [True]
    assert answer == {"size": 300 * len(MEGABYTE), "sha256": hashlib.sha256(MEGABYTE * 300).hexdigest()}


def test_a_large_download_waits_for_a_slow_reader(front: Front, bob: Upstream) -> None:
    """nginx keeps a few pages of it in memory and lets the server wait; the reader gets every byte."""
    with no_disk(front), front.request("/user/bob/download?300", stream=True, timeout=WAIT) as response:
        digest = hashlib.sha256(response.raw.read(1000))
        sent = -1
        while sent < bob.sent:  # until the server waits
            sent = bob.sent
            time.sleep(0.5)
        assert bob.sent < 300
        for block in response.iter_content(1 << 20):
            digest.update(block)
    assert digest.hexdigest() == hashlib.sha256(MEGABYTE * 300).hexdigest()


def test_server_sent_events_are_not_held_back(front: Front, bob: Upstream) -> None:
    """The user sees the progress of a starting server while it starts: the second event waits for the first."""
    with front.request("/user/bob/events", stream=True, timeout=WAIT) as response:
        lines = response.iter_lines(chunk_size=1)
        assert next(lines) == b"data: first"
        bob.go_on.set()
        assert [line for line in lines if line] == [b"data: second"]


def test_http2_does_it_all(front: Front, bob: Upstream) -> None:
    """A page, events that are not held back, and an upload of unknown length, over HTTP/2."""
    page = subprocess.run(curl(front, "/user/bob/lab"), capture_output=True, text=True, check=True)
    assert '"server": "bob"' in page.stdout
    assert page.stdout.endswith("\nHTTP/2")
    with subprocess.Popen(curl(front, "/user/bob/events"), stdout=subprocess.PIPE, text=True) as events:
        assert events.stdout
        assert events.stdout.readline() == "data: first\n"
        bob.go_on.set()
        assert events.stdout.read() == "\ndata: second\n\n\nHTTP/2"
    with no_disk(front):
        options = ["-X", "POST", "-T", "-"]
        upload = subprocess.run(
            curl(front, "/user/bob/upload", *options), input=MEGABYTE * 50, capture_output=True, check=True
        )
    assert hashlib.sha256(MEGABYTE * 50).hexdigest() in upload.stdout.decode()
    assert upload.stdout.endswith(b"\nHTTP/2")


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "PATCH", "PUT", "DELETE"])
def test_every_method_reaches_the_server(front: Front, bob: Upstream, method: str) -> None:
    answer = front.request("/user/bob/api/contents/x", method)
    assert answer.status_code == 200
    if method == "HEAD":
        assert answer.content == b""
        assert int(answer.headers["Content-Length"]) > 0
    else:
        assert answer.json()["method"] == method


def test_another_protocol_than_websockets_passes(front: Front, bob: Upstream) -> None:
    """The server agrees to the client's upgrade, and from then on every byte goes through at once, both ways."""
    with front.connect() as connection:
        connection.sendall(
            b"GET /user/bob/upgrade HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
        )
        head = b""
        while b"\r\n\r\n" not in head:
            head += connection.recv(1)
        assert head.startswith(b"HTTP/1.1 101")
        assert b"Upgrade: tcp" in head
        for byte in b"\x00\xffa":
            connection.sendall(bytes([byte]))
            assert connection.recv(1) == bytes([byte])


def test_a_client_that_asks_before_it_uploads_is_told_to_go_on(front: Front, bob: Upstream) -> None:
    """curl and others wait for "100 Continue" before a large body."""
    with front.connect() as connection:
        connection.sendall(
            b"POST /user/bob/upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
        )
        assert connection.recv(65536).startswith(b"HTTP/1.1 100")
        connection.sendall(b"hello")
        answer = connection.recv(65536)
        assert answer.startswith(b"HTTP/1.1 200")


def test_a_client_that_leaves_lets_the_server_know(front: Front, bob: Upstream) -> None:
    """A closed tab ends what its server does for it."""
    with front.request("/user/bob/abandoned", stream=True, timeout=WAIT) as response:
        assert next(response.iter_lines(chunk_size=1)) == b"data: first"
    assert bob.abandoned.wait(WAIT)


def test_an_answer_that_nobody_waited_for_goes_to_nobody_else(front: Front, bob: Upstream) -> None:
    """Alice leaves before her server answers; Eve's next request, by the same worker, gets Eve's answer."""
    front.add("/user/eve", front.upstream("eve").url)
    for _ in range(20):
        with front.connect() as connection:
            connection.sendall(b"GET /user/bob/silent HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert front.request("/user/eve/lab").json()["server"] == "eve"
    bob.go_on.set()
    for _ in range(20):
        assert front.request("/user/eve/lab").json()["server"] == "eve"
