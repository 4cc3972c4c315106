"""JupyterHub tells nginx where its users' servers are: configurable-http-proxy's REST API on port 8001."""

import asyncio
import subprocess
from typing import Any

import pytest
from front import TOKEN, Front
from jupyterhub.proxy import ConfigurableHTTPProxy

from tests.conftest import docker

TARGET = "http://bob.invalid:8888"


def test_a_route_is_added_read_replaced_and_deleted(front: Front) -> None:
    """What the hub posts comes back as it was, with the time of the last activity."""
    posted = {"target": TARGET, "user": "bob", "server_name": "", "jupyterhub": True}
    assert front.api("POST", "/user/bob", json=posted).status_code == 201
    route = front.api("GET", "/user/bob").json()
    assert route.pop("last_activity").endswith("Z")
    assert route == posted
    assert front.api("POST", "/user/bob", json={"target": "http://new.invalid:1"}).status_code == 201
    assert front.routes()["/user/bob"].keys() == {"target", "last_activity"}
    assert front.api("DELETE", "/user/bob").status_code == 204
    assert front.api("DELETE", "/user/bob").status_code == 404
    assert front.api("GET", "/user/bob").status_code == 404


@pytest.mark.parametrize("token", [None, "", "wrong", TOKEN + "x"])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_a_wrong_token_is_refused(front: Front, method: str, token: str | None) -> None:
    front.add("/user/bob", TARGET)
    assert front.api(method, "/user/bob", token=token, json={"target": "http://evil.invalid"}).status_code == 403
    assert front.routes()["/user/bob"]["target"] == TARGET


@pytest.mark.parametrize(
    "body", ["", "{", "null", "[]", '"x"', "{}", '{"target": 5}', '{"target": ""}', '{"target": "file:///etc/passwd"}']
)
def test_a_body_without_a_usable_target_is_refused(front: Front, body: str) -> None:
    assert front.api("POST", "/user/bob", data=body).status_code == 400
    assert front.routes() == {}


def test_paths_that_are_not_routes_and_other_methods(front: Front) -> None:
    assert front.session.get(f"http://{front.address(front.backend)}:8001/api/routesx").status_code == 404
    assert front.api("PUT", "/user/bob", json={"target": TARGET}).status_code == 405
    assert front.api("POST", "/" + 1200 * "x", json={"target": TARGET}).status_code == 400


@pytest.mark.parametrize(
    ("posted", "asked", "path"),
    [
        ("/user/foo%20bar", "/user/foo%20bar/", "/user/foo bar"),
        ("/user/a@b.org", "/user/a%40b.org", "/user/a@b.org"),
        ("/user/a%40b.org/", "/user/a@b.org", "/user/a@b.org"),
        ("/user/%E7%8E%8B", "/user/王", "/user/王"),
        ("/user/100%25", "/user/100%25", "/user/100%"),
        ("", "/", "/"),
    ],
)
def test_escapes_and_trailing_slashes_do_not_matter(front: Front, posted: str, asked: str, path: str) -> None:
    """However a path is spelt, it is one route; the list names it unescaped, as the hub expects."""
    front.add(posted, TARGET)
    assert list(front.routes()) == [path]
    if path != "/":
        assert front.api("GET", asked).json()["target"] == TARGET
    assert front.api("DELETE", asked).status_code == 204


@pytest.mark.parametrize("parameter", ["inactiveSince", "inactive_since"])
def test_routes_inactive_since_a_date(front: Front, parameter: str) -> None:
    front.add("/user/bob", TARGET)
    for date, expected in {
        "2000-01-01T00:00:00Z": [],
        "2000-01-01T00:00:00+02:00": [],
        "2100-01-01T00:00:00.123456+00:00": ["/user/bob"],
        "2100-01-01T00:00:00+08:00": ["/user/bob"],
    }.items():
        assert list(front.api("GET", params={parameter: date}).json()) == expected
    assert front.api("GET", params={parameter: "yesterday"}).status_code == 400


def test_jupyterhubs_own_class_drives_it(front: Front) -> None:
    """Names that need escapes survive the way there and back, or the hub would add and drop them for ever."""

    async def drive() -> dict[str, Any]:
        address = f"http://{front.address(front.backend)}"
        proxy = ConfigurableHTTPProxy(
            should_start=False, auth_token=TOKEN, api_url=f"{address}:8001", public_url=address
        )
        await proxy.add_route("/", "http://hub.invalid:8081", {"hub": True})
        for name in ("bob", "a@b.org", "foo%20bar", "%E7%8E%8B", "x~y"):
            await proxy.add_route(f"/user/{name}/", TARGET, {"user": name, "server_name": "lab 1"})
        await proxy.delete_route("/user/bob/")
        await proxy.delete_route("/user/bob/")
        routes: dict[str, Any] = await proxy.get_all_routes()
        return routes

    routes = asyncio.run(drive())
    assert set(routes) == {"/", "/user/a@b.org/", "/user/foo%20bar/", "/user/%E7%8E%8B/", "/user/x~y/"}
    route = routes["/user/foo%20bar/"]
    assert route["target"] == TARGET
    assert route["data"].pop("last_activity")
    assert route["data"] == {"user": "foo%20bar", "server_name": "lab 1"}


def test_users_containers_cannot_reach_the_api(front: Front) -> None:
    """The API listens on the backend network alone, whatever address or name a user's container tries."""

    def reaches(network: str, host: str) -> bool:
        command = ["docker", "run", "--rm", f"--network={network}", "--entrypoint=curl", front.image]
        url = f"http://{host}:8001/api/routes"
        return subprocess.run([*command, "-sS", "--max-time", "5", url], capture_output=True).returncode == 0

    assert reaches(front.backend, "proxy-api")
    hosts = ["proxy-api", front.name, front.address(front.users), front.address(front.backend)]
    assert [host for host in hosts if reaches(front.users, host)] == []
    assert docker("run", "--rm", f"--network={front.users}", "--entrypoint=curl", front.image, "-sS", "-o", "/dev/null",
                  "-H", "Host: localhost", "-w", "%{http_code}", f"http://{front.name}/") == "308"  # fmt: skip
