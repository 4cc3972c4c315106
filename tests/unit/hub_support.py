"""A stack whose hub is a small server in the test's own process: it answers stackgen as the real one does."""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any
from urllib.parse import unquote

from unit_support import SECRETS

from tests.conftest import stackgen

ACCOUNTS = {"AUTH": "accounts", "ADMIN_USERS": "ada"}
GITHUB = {
    "AUTH": "github", "ADMIN_USERS": "ada", "OAUTH_CLIENT_ID": "id", "OAUTH_CLIENT_SECRET": "hunter2",
    "OAUTH_CALLBACK_URL": "https://localhost/hub/oauth_callback",
}  # fmt: skip


def person(name: str, state: str = "active", **fields: Any) -> dict[str, Any]:
    """Somebody, as the hub's API describes them."""
    return {
        "name": name, "admin": False, "state": state, "email": "", "groups": [], "last_activity": None,
        "running": False, "aliases": [], "account": state == "active",
    } | fields  # fmt: skip


class HubStandIn(ThreadingHTTPServer):
    """Answers with the people that it holds, and notes what is asked of it, and which files there were at that time."""

    def __init__(self, directory: Path) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.directory = directory
        self.people: dict[str, dict[str, Any]] = {}
        self.aliases: dict[str, str] = {}
        self.asked: list[tuple[str, str, Any]] = []
        self.files_at_post: list[str] = []
        self.refuses = self.hangs_up = False

    def stackgen(self, *arguments: str | Path, stdin: str = "") -> CompletedProcess[str]:
        """The command in this stack's directory."""
        return stackgen(*arguments, stdin=stdin, cwd=self.directory)

    def changes(self) -> list[tuple[str, str, Any]]:
        """What was asked, but for questions."""
        return [request for request in self.asked if request[0] != "GET"]

    def log_in_with(self, login: dict[str, str]) -> None:
        """Write .env for another way to log in."""
        env = SECRETS | {"TLS": "off", "BIND_ADDRESS": "127.0.0.1", "HTTP_PORT": str(self.server_port)} | login
        (self.directory / ".env").write_text("".join(f"{key}={value}\n" for key, value in env.items()))


class Answer(BaseHTTPRequestHandler):
    """The part of the hub's REST API that stackgen uses."""

    server: HubStandIn

    def handle_request(self) -> None:
        hub = self.server
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"] or 0)) or "null")
        assert self.headers["Authorization"] == f"token {SECRETS['HUB_API_TOKEN']}"
        path = self.path.removeprefix("/hub/api/")
        kind, _, name = path.partition("/")
        name = unquote(name)
        hub.asked.append((self.command, path, body))
        match self.command, kind:
            case "GET", "":
                self.reply(200, {})
            case "GET", "people":
                found = hub.people.get(name)
                self.reply(404 if name and not found else 200, found if name else list(hub.people.values()))
            case "POST", "people":
                hub.files_at_post = [file.name for file in hub.directory.glob("*.csv")]
                if hub.hangs_up:
                    return
                new = [
                    entry["name"] for entry in body["people"] if not hub.people.get(entry["name"], {}).get("account")
                ]
                if hub.refuses:
                    self.reply(400, {"message": "not this one"})
                else:
                    self.reply(201, {"created": new, "existing": []})
            case "PATCH", "people":
                state = {"allow": "allowed", "block": "blocked"}.get(body.get("rule", ""), "active")
                self.reply(200, hub.people.get(name, person(name)) | {"state": state})
            case "GET", "aliases":
                self.reply(200, hub.aliases)
            case "DELETE", "aliases":
                self.reply(204 if name in hub.aliases else 404)
            case "PUT", "aliases":
                self.reply(204)

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = handle_request

    def reply(self, status: int, body: Any = None) -> None:
        content = b"" if status == 204 else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Keeps the tests' output free of requests."""
