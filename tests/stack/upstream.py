"""Servers behind nginx that a test can watch: the hub, a user's server, and one that misbehaves."""

import base64
import hashlib
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedIOBase
from typing import Any, ClassVar

WAIT = 60  # seconds; how long one side of a test waits for the other before it gives up
# what the hub and users' servers send, and what a browser shall not see
TELLING = {
    "X-JupyterHub-Version": "6.1.1",
    "Service-Worker-Allowed": "/",
    "X-Content-Type-Options": "nosniff",
    "X-Of-The-Server": "yes",
}
MEGABYTE = bytes(range(256)) * 4096


class Upstream(ThreadingHTTPServer):
    """Echoes what it got as JSON; the last part of some paths asks for something else, see Handler.PAGES."""

    daemon_threads = True

    def __init__(self, address: str, name: str, handler: "type[Handler]") -> None:
        super().__init__((address, 0), handler)
        self.name = name
        self.url = f"http://{address}:{self.server_address[1]}"
        self.error_page_status = 200  # of /hub/error/...; JupyterHub's own says 200
        self.go_on = threading.Event()  # lets /events send the second event, and /silent answer
        self.upload_began = threading.Event()
        self.abandoned = threading.Event()  # the client of /abandoned has gone
        self.sent = 0  # megabytes of /download
        threading.Thread(target=self.serve_forever, args=[0.05], daemon=True).start()

    def stop(self) -> None:
        self.go_on.set()
        self.shutdown()
        self.server_close()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Upstream

    def do_GET(self) -> None:
        page = self.path.partition("?")[0].rsplit("/", 1)[-1]
        if page in self.PAGES:
            self.PAGES[page](self)
        elif "/status/" in self.path:
            self.answer({}, status=int(page))
        elif self.path.startswith("/hub/error/"):
            self.answer(
                self.seen(), self.server.error_page_status, {"Set-Cookie": "hub=1", "Content-Type": "text/html"}
            )
        else:
            self.answer(self.seen())

    do_HEAD = do_OPTIONS = do_PATCH = do_PUT = do_DELETE = do_GET

    def do_POST(self) -> None:
        chunked = self.headers["Transfer-Encoding"] == "chunked"
        body = read_chunked(self.rfile) if chunked else [self.rfile.read(int(self.headers["Content-Length"] or 0))]
        digest, size = hashlib.sha256(), 0
        for chunk in body:
            digest.update(chunk)
            size += len(chunk)
            self.server.upload_began.set()
        self.answer({"size": size, "sha256": digest.hexdigest()})

    def seen(self) -> dict[str, Any]:
        """What a test wants to know of the request."""
        return {
            "server": self.server.name,
            "method": self.command,
            "path": self.path,
            "headers": self.headers.items(),
        }

    def answer(self, data: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        body = json.dumps(data).encode()
        self.start({"Content-Length": str(len(body)), **(headers or {})}, status)
        if self.command != "HEAD":
            self.wfile.write(body)

    def start(self, headers: Mapping[str, str], status: int = 200) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def send_events(self) -> None:
        self.start({"Content-Type": "text/event-stream", "Connection": "close"})
        self.wfile.write(b"data: first\n\n")
        self.server.go_on.wait(WAIT)
        self.wfile.write(b"data: second\n\n")

    def tell(self) -> None:
        self.answer({}, headers=TELLING)

    def redirect(self) -> None:
        self.answer({}, 301, {"Location": "http://elsewhere.invalid:12345/whatever"})

    def download(self) -> None:
        """As many megabytes as the query says."""
        megabytes = int(self.path.partition("?")[2])
        self.start({"Content-Length": str(megabytes * len(MEGABYTE))})
        for _ in range(megabytes):
            self.wfile.write(MEGABYTE)
            self.server.sent += 1

    def break_off(self) -> None:
        """Close the connection in the middle of an answer."""
        self.start({"Content-Length": "1000"})
        self.wfile.write(b"the beginning")
        self.close_connection = True

    def say_nothing(self) -> None:
        """Close the connection without an answer."""
        self.close_connection = True

    def stay_silent(self) -> None:
        self.server.go_on.wait(WAIT)
        self.answer({})

    def notice_departure(self) -> None:
        """Begin an answer, and see when nobody wants the rest."""
        self.start({"Content-Type": "text/event-stream", "Connection": "close"})
        self.wfile.write(b"data: first\n\n")
        self.connection.settimeout(WAIT)
        if self.rfile.read(1) == b"":
            self.server.abandoned.set()

    def echo_bytes(self) -> None:
        """Another protocol than websockets: send back each byte."""
        self.start({"Upgrade": self.headers["Upgrade"] or "none", "Connection": "Upgrade"}, 101)
        self.close_connection = True
        while byte := self.rfile.read(1):
            self.wfile.write(byte)

    def echo_websocket(self) -> None:
        """Answer each short text message with the same text (RFC 6455) until the client closes."""
        key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accept = base64.b64encode(hashlib.sha1(key.encode(), usedforsecurity=False).digest()).decode()
        self.start({"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Accept": accept}, 101)
        self.close_connection = True
        while (head := self.rfile.read(2)) and head[0] & 0x0F == 1:
            mask = self.rfile.read(4)
            text = bytes(byte ^ mask[i % 4] for i, byte in enumerate(self.rfile.read(head[1] & 0x7F)))
            self.wfile.write(bytes([head[0], len(text)]) + text)

    PAGES: ClassVar[dict[str, Callable[..., None]]] = {
        "events": send_events,
        "websocket": echo_websocket,
        "upgrade": echo_bytes,
        "headers": tell,
        "redirect": redirect,
        "download": download,
        "broken": break_off,
        "nothing": say_nothing,
        "silent": stay_silent,
        "abandoned": notice_departure,
    }

    def log_message(self, format: str, *args: object) -> None:
        pass


def read_chunked(stream: BufferedIOBase) -> Iterator[bytes]:
    """The chunks of a body with Transfer-Encoding: chunked."""
    while size := int(stream.readline(), 16):
        yield stream.read(size)
        stream.readline()
    stream.readline()
