"""The JupyterHub REST API, with stackgen's own token, through nginx.

https://jupyterhub.readthedocs.io/en/stable/reference/rest-api.html
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import quote

import requests

from stackgen.engine import Engine
from stackgen.errors import StackgenError
from stackgen.front import FrontDoor
from stackgen.roster import Entry
from stackgen.settings import Settings

TIMEOUT = 60  # seconds, for an answer; to stop a server takes the hub some ten
SECONDS_PER_PASSWORD = 1  # to hash one that a person chose, on a slow machine


class Refused(StackgenError):
    """The hub has answered that it will not, and has changed nothing."""


@dataclass(frozen=True)
class User:
    """A user as the hub knows them; `last_activity` is ISO 8601, or empty."""

    name: str
    admin: bool
    running: bool
    last_activity: str


@dataclass(frozen=True)
class Person:
    """Somebody whom the hub knows, whether they ever logged in or not.

    `state` is "active", "waiting" (signed up, not let in), "blocked", "no password" (but the login has passwords),
    "allowed" (by name), or "by provider" (only the provider's groups or ALLOW_ALL decide). `last_activity` is ISO 8601,
    or empty. `aliases` are other names under which the person logs in at the provider. `account` tells whether there is
    a password, and not only that of a sign-up that nobody has let in.
    """

    name: str
    admin: bool
    state: str
    email: str
    groups: tuple[str, ...]
    last_activity: str
    running: bool
    aliases: tuple[str, ...]
    account: bool


class Hub:
    """The running hub. Every method raises StackgenError if it does not answer, Refused if it refuses."""

    def __init__(self, front: FrontDoor, token: str) -> None:
        self.front = front
        self.session = front.session()
        self.session.headers["Authorization"] = f"token {token}"

    @classmethod
    def of(cls, settings: Settings, engine: Engine) -> "Hub":
        """The hub of a running stack. Raises StackgenError if the stack does not run."""
        return cls(FrontDoor.of(settings, engine), settings["HUB_API_TOKEN"])

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

    def people(self) -> list[Person]:
        """Everybody whom the hub knows, by name."""
        return [_person(item) for item in self._request("GET", "/people").json()]

    def person(self, name: str) -> Person | None:
        """One of them."""
        answer = self._request("GET", f"/people/{_quoted(name)}", allowed=(404,))
        return None if answer.status_code == 404 else _person(answer.json())

    def add_people(self, people: Sequence[Entry]) -> list[str]:
        """Add all of them, or none. The names of those who are new, or are settled by a password only now.

        The others keep what they have; groups and an e-mail address are added.
        """
        chosen = sum(bool(person.password) and not person.generated for person in people)
        body = {"people": [{key: value for key, value in asdict(person).items() if value} for person in people]}
        answer = self._request("POST", "/people", timeout=TIMEOUT + chosen * SECONDS_PER_PASSWORD, json=body)
        return list(answer.json()["created"])

    def change(self, name: str, **fields: str | bool) -> Person:
        """Change a person: `password`, `admin`, or `rule`, which is "allow" or "block". Whoever is unknown is made."""
        return _person(self._request("PATCH", f"/people/{_quoted(name)}", json=fields).json())

    def has_account(self, name: str) -> bool:
        """Whether there is a password for this user, and not only that of a sign-up that nobody has let in."""
        person = self.person(name)
        return person is not None and person.account

    def set_password(self, name: str, password: str) -> None:
        """Give the user this password; the account is created if there is none."""
        self.change(name, password=password)

    def make_admin(self, name: str) -> None:
        """Make the user an admin; the user is created if there is none."""
        self.change(name, admin=True)

    def follow_admins(self, names: Sequence[str]) -> None:
        """These, and nobody else, are the admins by ADMIN_USERS; those whom a group or the admin page made stay."""
        self._request("PUT", "/admins", json=list(names))

    def revoke_admin(self, name: str) -> None:
        """Make the user an ordinary one, at once; no such user is fine."""
        self._request("PATCH", f"/people/{_quoted(name)}", json={"admin": False}, allowed=(404,))

    def remove_user(self, name: str) -> bool:
        """Stop the user's server and remove user and account, but no volume. False if there is no such user."""
        return self._request("DELETE", f"/people/{_quoted(name)}", allowed=(404,)).status_code != 404

    def new_token(self, name: str, seconds: int) -> str:
        """An API token with which a program is this user, for so long."""
        answer = self._request("POST", f"/users/{_quoted(name)}/tokens", json={"expires_in": seconds})
        return str(answer.json()["token"])

    def aliases(self) -> dict[str, str]:
        """Whose name at the provider leads to which user."""
        return dict(self._request("GET", "/aliases").json())

    def set_alias(self, login: str, name: str) -> None:
        """Whoever logs in as `login` at the provider is the user `name` from now on."""
        self._request("PUT", f"/aliases/{_quoted(login)}", json={"name": name})

    def remove_alias(self, login: str) -> bool:
        """Take an alias away; False if there is none."""
        return self._request("DELETE", f"/aliases/{_quoted(login)}", allowed=(404,)).status_code != 404

    def _request(
        self, method: str, path: str, *, allowed: tuple[int, ...] = (), timeout: float = TIMEOUT, **body: Any
    ) -> requests.Response:
        try:
            answer = self.session.request(method, f"{self.front.url}/hub/api{path}", timeout=timeout, **body)
        except requests.RequestException as error:
            raise StackgenError(f"the hub does not answer: {error}", "see: stackgen status") from None
        if answer.ok or answer.status_code in allowed:
            return answer
        if answer.status_code >= 500:
            raise StackgenError(
                f"the hub does not work (HTTP {answer.status_code})", "see: stackgen status, stackgen logs"
            )
        try:
            message = answer.json()["message"]
        except (ValueError, KeyError):
            message = f"HTTP {answer.status_code}"
        hint = "if HUB_API_TOKEN in .env was changed: stackgen up" if answer.status_code == 403 else ""
        raise Refused(f"the hub refused: {message}", hint)


def _quoted(name: str) -> str:
    return quote(name, safe="")


def _person(item: dict[str, Any]) -> Person:
    return Person(
        name=item["name"],
        admin=item["admin"],
        state=item["state"],
        email=item["email"] or "",
        groups=tuple(item["groups"]),
        last_activity=item["last_activity"] or "",
        running=item["running"],
        aliases=tuple(item["aliases"]),
        account=item["account"],
    )
