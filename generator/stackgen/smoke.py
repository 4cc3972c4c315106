"""The proof that a stack works: what a user does, from the login page to a result out of a Sage kernel."""

import json
import secrets
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import requests
from websocket import WebSocket, WebSocketException

from stackgen import people
from stackgen.engine import Engine
from stackgen.errors import StackgenError
from stackgen.front import FrontDoor
from stackgen.hubapi import Hub
from stackgen.output import say
from stackgen.settings import Settings

CODE = "print(factor(2^64-1))"
EXPECTED = "3 * 5 * 17 * 257 * 641 * 65537 * 6700417"
SPAWN_SECONDS = 180
KERNEL_SECONDS = 120
TOKEN_SECONDS = 3600


@dataclass
class Proof:
    """What was computed, and the seconds each step took."""

    result: str = ""
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Say what begins, and note how long it took."""
        say(f"  {name} ...")
        start = time.monotonic()
        try:
            yield
        except requests.RequestException as error:
            raise StackgenError(f"{name}: {error}", "see: stackgen logs") from None
        self.seconds[name] = time.monotonic() - start


@contextmanager
def visitor(settings: Settings, engine: Engine, hub: Hub) -> Iterator[tuple[str, str]]:
    """A throw-away user: name and password; where passwords are a provider's, name and API token.

    User, container and volume are gone afterwards.
    """
    name, password = f"smoke-{secrets.token_hex(4)}", secrets.token_urlsafe(16)
    try:
        if settings.login.passwords:
            hub.set_password(name, password)
            yield name, password
        else:
            hub.change(name, rule="allow")
            yield name, hub.new_token(name, TOKEN_SECONDS)
    finally:
        say("  clean up ...")
        people.remove(settings, engine, hub, name, volume=True)


def prove(front: FrontDoor, name: str, secret: str, *, by_token: bool = False) -> Proof:
    """Sign in, start a server, compute in a Sage kernel over its websocket. Raises StackgenError where it fails.

    `secret` is the user's password or, with `by_token`, an API token. The kernel is shut down afterwards; the server
    goes on if it ran before, else it is stopped.
    """
    browser, proof = Browser(front, name), Proof()
    with proof.step("sign in"):
        (browser.use_token if by_token else browser.sign_in)(secret)
    with proof.step("start a server"):
        started = browser.start_server()
    try:
        with proof.step("start a Sage kernel"):
            kernel = browser.start_kernel()
        try:
            with proof.step(CODE):
                proof.result = browser.execute(kernel, CODE)
        finally:
            browser.api("DELETE", f"/api/kernels/{kernel}")
    finally:
        if started:
            browser.hub_api("DELETE", f"/users/{quote(name, safe='')}/server")
    if proof.result != EXPECTED:
        raise StackgenError(f"{CODE} gave {proof.result!r} instead of {EXPECTED!r}")
    return proof


class Browser:
    """As much of a browser as one user needs: cookies, XSRF tokens and a websocket."""

    def __init__(self, front: FrontDoor, name: str) -> None:
        self.front, self.name = front, name
        self.session = front.session()
        self.server = f"{front.url}/user/{quote(name, safe='@')}"

    def sign_in(self, password: str) -> None:
        """Through the login form."""
        self.session.get(f"{self.front.url}/hub/login", timeout=30).raise_for_status()
        form = {"username": self.name, "password": password, "_xsrf": self._xsrf("/hub/")}
        answer = self.session.post(f"{self.front.url}/hub/login", data=form, timeout=30, allow_redirects=False)
        if answer.status_code != 302:
            raise StackgenError(
                f"{self.name} could not sign in (HTTP {answer.status_code})",
                "after several wrong passwords an account is locked for some minutes",
            )

    def use_token(self, token: str) -> None:
        """Without any form: the hub, the user's server and its websocket take the token with each request."""
        self.session.headers["Authorization"] = f"token {token}"
        if not (answer := self.hub_api("GET", "/user")).ok:
            raise StackgenError(f"{self.name} could not sign in: {_message(answer)}")

    def start_server(self) -> bool:
        """Start the user's server unless it runs; wait until it is ready. Tell whether it was started."""
        path = f"/users/{quote(self.name, safe='')}/server"
        answer = self.hub_api("POST", path)
        if answer.status_code not in (201, 202, 400):  # 400: it runs already
            raise StackgenError(f"the server was not started: {_message(answer)}", "see: stackgen logs hub")
        if answer.status_code == 202:
            self._await_server(path + "/progress")
        # signs in to the user's server too, by the hub's OAuth, and sets its cookies
        self.session.get(f"{self.server}/lab", timeout=60).raise_for_status()
        return answer.status_code != 400

    def _await_server(self, path: str) -> None:
        with self.hub_api("GET", path, stream=True, timeout=SPAWN_SECONDS) as events:
            for line in events.iter_lines():
                if not line.startswith(b"data:"):
                    continue
                event = json.loads(line.removeprefix(b"data:"))
                if event.get("failed"):
                    raise StackgenError(f"the server did not start: {event['message']}", "see: stackgen logs hub")
                if event.get("ready"):
                    return
        raise StackgenError("the server did not become ready", "see: stackgen logs hub")

    def start_kernel(self) -> str:
        """Start a Sage kernel; its id."""
        specs = self.api("GET", "/api/kernelspecs").json()["kernelspecs"]
        sage = [name for name in specs if "sage" in name.lower()]
        if not sage:
            raise StackgenError(f"the image has no Sage kernel, only {', '.join(specs)}", "choose another SAGE_IMAGE")
        return str(self.api("POST", "/api/kernels", json={"name": sage[0]}).json()["id"])

    def open_channel(self, kernel: str) -> "Channel":
        """Open a websocket to a kernel, as a page does; whoever opens it closes it."""
        path = self.server.removeprefix(self.front.url) + f"/api/kernels/{kernel}/channels"
        return Channel(self.front.websocket(path, self.session, KERNEL_SECONDS))

    def execute(self, kernel: str, code: str) -> str:
        """Run code in a kernel; what it printed. Raises StackgenError with what went wrong in it."""
        channel = self.open_channel(kernel)
        try:
            return _printed(channel, channel.send(code))
        except WebSocketException as error:
            raise StackgenError(f"the kernel did not answer: {error}", "see: stackgen logs nginx") from None
        finally:
            channel.close()

    def hub_api(self, method: str, path: str, **more: Any) -> requests.Response:
        """Call the hub's API as the signed-in user."""
        headers = {"X-XSRFToken": self._xsrf("/hub/")}
        return self.session.request(
            method, f"{self.front.url}/hub/api{path}", headers=headers, **{"timeout": 60, **more}
        )

    def api(self, method: str, path: str, **more: Any) -> requests.Response:
        """Call the user's own server."""
        headers = {"X-XSRFToken": self._xsrf("/user/")}
        answer = self.session.request(method, self.server + path, headers=headers, timeout=KERNEL_SECONDS, **more)
        if not answer.ok:
            raise StackgenError(f"{method} {path}: {_message(answer)}", "see: stackgen logs")
        return answer

    def _xsrf(self, path: str) -> str:
        return next((c.value or "" for c in self.session.cookies if c.name == "_xsrf" and c.path.startswith(path)), "")


class Channel:
    """A websocket to a kernel. Its messages: https://jupyter-client.readthedocs.io/en/stable/messaging.html"""

    def __init__(self, connection: WebSocket) -> None:
        """All below raise WebSocketException if the kernel does not answer in the connection's time."""
        self.session = uuid.uuid4().hex
        self._socket = connection

    def send(self, code: str) -> str:
        """Ask the kernel to run a cell; the id of the request, which all messages about it name as their parent."""
        request = uuid.uuid4().hex
        header = {
            "msg_id": request,
            "msg_type": "execute_request",
            "session": self.session,
            "username": "",
            "version": "5.3",
        }
        content = {"code": code, "silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": False}
        message = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}
        self._socket.send(json.dumps(message))
        return request

    def receive(self) -> dict[str, Any]:
        """The next message, whatever it is about."""
        message: dict[str, Any] = json.loads(self._socket.recv())
        return message

    def close(self) -> None:
        """The kernel goes on without it."""
        self._socket.close()


def _printed(channel: Channel, request: str) -> str:
    printed = ""
    while True:
        message = channel.receive()
        if message["parent_header"].get("msg_id") != request:
            continue
        kind, content = message["msg_type"], message["content"]
        if kind == "stream":
            printed += content["text"]
        elif kind == "error":
            raise StackgenError(f"the kernel said {content['ename']}: {content['evalue']}")
        elif kind == "status" and content["execution_state"] == "idle":
            return printed.strip()


def _message(answer: requests.Response) -> str:
    try:
        return str(answer.json()["message"])
    except (ValueError, KeyError, TypeError):
        return f"HTTP {answer.status_code}"
