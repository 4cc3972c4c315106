"""A real JupyterHub in the event loop of a test, without a proxy, and browsers that use it."""

import asyncio
import json
import logging
import os
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urljoin

from account_service import CLIENT_ID, CLIENT_SECRET, Service
from jupyterhub import __version__
from jupyterhub.app import JupyterHub
from jupyterhub.crypto import CryptKeeper
from jupyterhub.proxy import Proxy
from jupyterhub.spawner import Spawner
from jupyterhub.user import User
from oauthenticator.oauth2 import OAuthenticator
from tornado import web
from tornado.httpclient import AsyncHTTPClient, HTTPResponse
from tornado.httpserver import HTTPServer
from tornado.httputil import parse_cookie
from tornado.netutil import bind_sockets
from traitlets.config import Config


class RoutesOnly(Proxy):
    """Remembers the routes; the tests talk to the hub itself."""

    should_start = False

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.routes: dict[str, dict[str, Any]] = {}

    async def add_route(self, routespec: str, target: str, data: dict[str, Any]) -> None:
        self.routes[routespec] = {"routespec": routespec, "target": target, "data": data}

    async def delete_route(self, routespec: str) -> None:
        self.routes.pop(routespec, None)

    async def get_all_routes(self) -> dict[str, dict[str, Any]]:
        return self.routes


class Answering(web.RequestHandler):
    """What JupyterHub wants to see of a server."""

    def get(self) -> None:
        self.set_header("X-JupyterHub-Version", __version__)


class LoopbackSpawner(Spawner):
    """A user's server is one that listens in this process."""

    server_in_process: HTTPServer | None = None

    async def start(self) -> str:
        sockets = bind_sockets(0, "127.0.0.1")
        self.server_in_process = HTTPServer(web.Application([(".*", Answering)]))
        self.server_in_process.add_sockets(sockets)
        return f"http://127.0.0.1:{sockets[0].getsockname()[1]}"

    async def poll(self) -> int | None:
        return None if self.server_in_process else 0

    async def stop(self, *_: bool) -> None:
        assert self.server_in_process
        self.server_in_process.stop()
        self.server_in_process = None


class Hub:
    """A running hub."""

    def __init__(self, app: JupyterHub, url: str) -> None:
        self.app = app
        self.url = url

    @property
    def authenticator(self) -> Any:
        return self.app.authenticator

    def user(self, name: str = "ada") -> User:
        return self.app.users[name]

    async def refresh(self, name: str = "ada") -> Any:
        """What JupyterHub gets when it asks for a user outside of a request."""
        return await self.authenticator.refresh_user(self.user(name))

    def age(self, name: str = "ada") -> None:
        """Let the last refresh be long ago, so that the next request asks the provider."""
        self.user(name)._auth_refreshed = None

    async def api(self, token: str, path: str, method: str = "GET", body: str | None = None) -> HTTPResponse:
        """A request to the REST API."""
        return await AsyncHTTPClient().fetch(
            f"{self.url}/hub/api{path}",
            method=method,
            headers={"Authorization": f"token {token}"},
            body=body,
            allow_nonstandard_methods=True,
            raise_error=False,
        )

    async def report_activity(self, token: str) -> int:
        """What a server does by itself every few minutes; the HTTP status."""
        body = json.dumps({"last_activity": datetime.now(UTC).isoformat()})
        return (await self.api(token, "/users/ada/activity", "POST", body)).code


class Browser:
    """Keeps cookies, and follows redirects one by one. Cookies of the provider do not matter here."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.cookies: dict[str, str] = {}
        self.visited: list[str] = []

    async def get(self, path: str, follow: bool = True) -> HTTPResponse:
        """A page, and those it redirects to. A page outside of the hub is not the last one asked for."""
        url = urljoin(self.hub.url, path)
        while True:
            self.visited.append(url)
            response = await AsyncHTTPClient().fetch(
                url,
                headers={"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())},
                follow_redirects=False,
                raise_error=False,
            )
            if url.startswith(self.hub.url):
                self.keep_cookies(response)
            location = response.headers.get("Location")
            if not location or not follow:
                return response
            url = urljoin(url, location)

    def keep_cookies(self, response: HTTPResponse) -> None:
        for line in response.headers.get_list("Set-Cookie"):
            ((name, value),) = parse_cookie(line.split(";")[0]).items()
            if value in ("", '""'):
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value

    async def log_in(self) -> HTTPResponse:
        return await self.get("/hub/oauth_login?next=/hub/home")

    async def is_logged_in(self) -> bool:
        """Whether the home page is shown, not a login page."""
        return (await self.get("/hub/home", follow=False)).code == 200


@asynccontextmanager
async def running(config: Config) -> AsyncIterator[Hub]:
    """A hub with this configuration, from its start to its end."""
    (socket,) = bind_sockets(0, "127.0.0.1")
    port = socket.getsockname()[1]
    socket.close()
    url = f"http://127.0.0.1:{port}"
    config.JupyterHub.update(
        {
            "db_url": "sqlite:///:memory:",
            "hub_bind_url": url,
            "bind_url": url,
            "proxy_class": RoutesOnly,
            "spawner_class": LoopbackSpawner,
            "cookie_secret": secrets.token_bytes(32),
            "last_activity_interval": 0,
            "cleanup_servers": True,
            "log_level": logging.INFO,
        }
    )
    config.OAuthenticator.update(
        {
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "oauth_callback_url": f"{url}/hub/oauth_callback",
        }
    )
    config.Authenticator.enable_auth_state = True
    config.CryptKeeper.keys = [os.urandom(32)]
    JupyterHub.clear_instance()
    app = JupyterHub.instance(config=config)  # CryptKeeper looks for its keys in the instance
    await app.initialize([])
    app.log.propagate = True  # so that a test can read all that is logged
    await app.start()
    try:
        yield Hub(app, url)
    finally:
        app.metrics_collector.stop()
        for callback in app._periodic_callbacks.values():
            callback.stop()
        await app.cleanup()
        app.http_server.stop()
        CryptKeeper.clear_instance()
        JupyterHub.clear_instance()


Story = Callable[[Service, Hub], Awaitable[None]]


def tell(
    story: Story, authenticator: type[OAuthenticator], service: Service | None = None, *, up: bool = True, **traits: Any
) -> None:
    """Run a story with a provider and a hub. `traits` of the authenticator may contain {url}, the provider's."""

    async def whole() -> None:
        provider = service or Service()
        await provider.start()
        if not up:
            await provider.stop()
        config = Config()
        config.JupyterHub.authenticator_class = authenticator
        for name, value in {"manage_groups": True, "allowed_groups": {"students"}, **traits}.items():
            config[authenticator.__name__][name] = (
                value.replace("{url}", provider.url) if isinstance(value, str) else value
            )
        async with running(config) as hub:
            await story(provider, hub)

    asyncio.run(whole())


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what happens in the background; if it does not, the test fails after a minute."""
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.01)
