"""What the tests of logins need: commands that must work, and browsers without a screen.

One browser fills in the hub's own forms, the other goes to an OAuth provider and comes back.
"""

import html
import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter

from stackgen import people
from stackgen.engine import Engine
from stackgen.errors import StackgenError
from stackgen.front import FrontDoor
from stackgen.smoke import Browser
from tests.conftest import RunningStack, docker, stackgen
from tests.providers import OAuthProvider

TIMEOUT = 60  # seconds, for one answer
PATIENCE = 90  # seconds, for what the hub does by itself
TOKEN_LIFETIME = 3  # seconds, at two of the providers, so that a refresh finds their access tokens expired
FILE = "/api/contents/thesis.txt"


def until(condition: Callable[[], bool]) -> None:
    """Wait for what happens in the background or at the next refresh; it must happen."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.2)


def command(stack: RunningStack, *arguments: str, stdin: str = "") -> str:
    """A command of stackgen, which must work; all that it prints."""
    done = stackgen(*arguments, "-C", stack.directory, stdin=stdin)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@contextmanager
def newcomers(stack: RunningStack) -> Iterator[None]:
    """Whoever the hub gets to know meanwhile is forgotten afterwards, volumes too."""
    before = {person.name for person in stack.hub.people()}
    try:
        yield
    finally:
        for person in stack.hub.people():
            if person.name not in before:
                people.remove(stack.settings, Engine(), stack.hub, person.name, volume=True)


def server_runs(stack: RunningStack, name: str) -> bool:
    """Whether the container of this user's server runs."""
    return bool(docker("ps", "-q", "--filter", f"name=^{stack.container(name)}$"))


def server_reports(stack: RunningStack, name: str) -> bool:
    """Whether this user's server can tell the hub that it is in use, by the token that it was started with."""
    environment = json.loads(docker("inspect", stack.container(name), "--format", "{{json .Config.Env}}"))
    (token,) = (line.partition("=")[2] for line in environment if line.startswith("JUPYTERHUB_API_TOKEN="))
    answer = stack.front.session().post(
        f"{stack.front.url}/hub/api/users/{name}/activity",
        json={"last_activity": datetime.now(UTC).isoformat()},
        headers={"Authorization": f"token {token}"},
        timeout=TIMEOUT,
    )
    return answer.ok


def visible(page: requests.Response) -> str:
    """What a page says, without its markup."""
    return " ".join(html.unescape(re.sub(r"(?s)<(head|script)\b.*?</\1>|<[^>]*>", " ", page.text)).split())


def parameters(url: str) -> dict[str, str]:
    """What comes after the question mark."""
    return dict(parse_qsl(urlsplit(url).query))


def changed(url: str, **changes: str | None) -> str:
    """The same address with other parameters; None takes one away."""
    asked = {key: value for key, value in (parameters(url) | changes).items() if value is not None}
    return urlsplit(url)._replace(query=urlencode(asked)).geturl()


class HubBrowser(Browser):
    """The browser of somebody who may be refused."""

    def __init__(self, front: FrontDoor, name: str, password: str = "") -> None:
        super().__init__(front, name)
        self.password = password

    def submit(self, page: str, **fields: str) -> requests.Response:
        """Fill in a form of the hub and send it; the page that comes then."""
        address = f"{self.front.url}/hub/{page}"
        self.visit(address)
        return self.session.post(address, data={**fields, "_xsrf": self._xsrf("/hub/")}, timeout=TIMEOUT)

    def visit(self, url: str) -> requests.Response:
        """Go to an address, and where that leads."""
        return self.session.get(url, timeout=TIMEOUT)

    def attempt(self) -> requests.Response:
        """Try to log in; the page that comes then."""
        return self.submit("login?next=/hub/home", username=self.name, password=self.password)

    def log_in(self) -> None:
        """Log in, which must work."""
        page = self.attempt()
        assert self.logged_in, visible(page)

    def refused(self, answer: requests.Response, status: int, *words: str) -> None:
        """This answer is a page that says so in these words, and the browser has not got in."""
        text = visible(answer)
        assert answer.status_code == status, text
        for word in words:
            assert word in text
        assert not self.logged_in
        assert not [cookie.name for cookie in self.session.cookies if cookie.name.startswith("jupyterhub-hub-")]

    @property
    def logged_in(self) -> bool:
        """Whether the hub shows this browser somebody's pages, or answers its API."""
        page = self.session.get(f"{self.front.url}/hub/home", allow_redirects=False, timeout=TIMEOUT)
        return self._either(page, 302, self.hub_api("GET", "/user"))

    def new_token(self) -> str:
        """A token of one's own, as for a script."""
        return str(self.hub_api("POST", f"/users/{self.name}/tokens").json()["token"])

    def token_works(self, token: str) -> bool:
        """Whether the hub takes this token for somebody, in a browser without cookies."""
        browser = Browser(self.front, self.name)
        try:
            browser.use_token(token)
        except StackgenError:
            return False
        return True

    @property
    def admin(self) -> bool:
        """Whether this browser's user may do anything at the hub that only admins may."""
        return self._either(self.visit(f"{self.front.url}/hub/admin"), 403, self.hub_api("GET", "/users"))

    def _either(self, page: requests.Response, refusal: int, api: requests.Response) -> bool:
        """Either may be the request at which the hub finds out that something has changed, so they may differ."""
        assert page.status_code in (200, refusal), visible(page)
        assert api.status_code in (200, 403), api.text
        return 200 in (page.status_code, api.status_code)

    @property
    def served(self) -> bool:
        """Whether JupyterLab in this browser gets answers from the user's server."""
        try:
            return self.api("GET", "/api/status").headers["Content-Type"] == "application/json"
        except StackgenError:
            return False

    def write(self, text: str) -> None:
        """Keep a file in the user's volume."""
        self.start_server()
        self.api("PUT", FILE, json={"type": "file", "format": "text", "content": text})

    def read(self) -> str:
        """What is in that file."""
        self.start_server()
        return str(self.api("GET", FILE).json()["content"])


class ByAddress(HTTPAdapter):
    """Finds a provider by its address, and checks its certificate by its name."""

    def __init__(self, provider: OAuthProvider) -> None:
        super().__init__()
        self.provider = provider

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, verify: bool | str, cert: str | tuple[str, str] | None = None
    ) -> tuple[Any, Any]:
        host, tls = super().build_connection_pool_key_attributes(request, verify, cert)
        name = self.provider.host
        return host | {"host": self.provider.address}, tls | {"server_hostname": name, "assert_hostname": name}

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        request.headers["Host"] = self.provider.host  # a redirect keeps the header of the request before
        return super().send(request, *args, **kwargs)


class OAuthBrowser(HubBrowser):
    """The browser of somebody whom a provider knows; `name` is what they are called at the hub, if not the same."""

    def __init__(self, front: FrontDoor, provider: OAuthProvider, username: str, name: str = "") -> None:
        super().__init__(front, name or username, provider.people[username].password)
        self.provider, self.username = provider, username
        self.session.verify = str(provider.authority.pem)
        self.session.mount(provider.url, ByAddress(provider))

    def begin(self) -> requests.Response:
        """Press the login button: the provider's form, or a page of the hub."""
        return self.visit(f"{self.front.url}/hub/oauth_login?next=/hub/home")

    def callback(self) -> str:
        """Log in at the provider; where that sends the browser then, which has not gone there yet."""
        form = self.begin()
        assert urlsplit(form.url).hostname == self.provider.host, visible(form)
        fields = {"username": self.username, "password": self.password}
        answer = self.session.post(form.url, data=fields, allow_redirects=False, timeout=TIMEOUT)
        while answer.is_redirect:
            onward = urljoin(answer.url, answer.headers["Location"])
            if urlsplit(onward).hostname != self.provider.host:
                return onward
            answer = self.session.get(onward, allow_redirects=False, timeout=TIMEOUT)
        raise AssertionError(f"{self.provider.host} let nobody in (HTTP {answer.status_code}): {visible(answer)}")

    def attempt(self) -> requests.Response:
        return self.visit(self.callback())


Browse = Callable[..., OAuthBrowser]
