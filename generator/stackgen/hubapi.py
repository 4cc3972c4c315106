"""The JupyterHub REST API, with stackgen's own token, through nginx.

https://jupyterhub.readthedocs.io/en/stable/reference/rest-api.html
"""

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import requests

from stackgen.errors import StackgenError
from stackgen.front import FrontDoor

TIMEOUT = 30  # seconds, for an answer


@dataclass(frozen=True)
class User:
    """A user as the hub knows them; `last_activity` is ISO 8601, or empty."""

    name: str
    admin: bool
    running: bool
    last_activity: str


class Hub:
    """The running hub. Every method raises StackgenError if it does not answer or refuses."""

    def __init__(self, front: FrontDoor, token: str) -> None:
        self.front = front
        self.session = front.session()
        self.session.headers["Authorization"] = f"token {token}"

    def answers(self) -> bool:
        """Whether the API answers at all."""
        try:
            return self.session.get(f"{self.front.url}/hub/api/", timeout=TIMEOUT).status_code == 200
        except requests.RequestException:
            return False

    def users(self) -> list[User]:
        """Every user."""
        users: list[User] = []
        page = 200  # JupyterHub's default limit, c.JupyterHub.api_page_max_limit
        while True:
            answer = self._request("GET", f"/users?limit={page}&offset={len(users)}").json()
            users += [
                User(item["name"], item["admin"], bool(item["server"]), item["last_activity"] or "") for item in answer
            ]
            if len(answer) < page:
                return users

    def has_account(self, name: str) -> bool:
        """Whether there is a password for this user."""
        return self._request("GET", f"/accounts/{quote(name, safe='')}", allowed=(404,)).status_code != 404

    def set_password(self, name: str, password: str) -> None:
        """Give the user this password; the account is created if there is none."""
        self._request("PUT", f"/accounts/{quote(name, safe='')}/password", json={"password": password})

    def make_admin(self, name: str) -> None:
        """Make the user an admin; the user is created if there is none."""
        path = f"/users/{quote(name, safe='')}"
        if self._request("POST", path, json={"admin": True}, allowed=(409,)).status_code == 409:
            self._request("PATCH", path, json={"admin": True})

    def remove_user(self, name: str) -> None:
        """Stop the user's server and remove user and account, but no volume; no such user is fine."""
        path = f"/users/{quote(name, safe='')}"
        self._request("DELETE", f"{path}/server", allowed=(400, 404))
        self._request("DELETE", path, allowed=(404,))

    def _request(self, method: str, path: str, *, allowed: tuple[int, ...] = (), **body: Any) -> requests.Response:
        try:
            answer = self.session.request(method, f"{self.front.url}/hub/api{path}", timeout=TIMEOUT, **body)
        except requests.RequestException as error:
            raise StackgenError(f"the hub does not answer: {error}", "see: stackgen status") from None
        if answer.ok or answer.status_code in allowed:
            return answer
        try:
            message = answer.json()["message"]
        except (ValueError, KeyError):
            message = f"HTTP {answer.status_code}"
        hint = "if HUB_API_TOKEN in .env was changed: stackgen up" if answer.status_code == 403 else ""
        raise StackgenError(f"the hub refused: {message}", hint)
