"""The hub and nginx as its proxy, together: a server's route comes, stays as long as the server runs, and goes."""

import json
import subprocess
import time
from collections.abc import Callable
from typing import Any

import pytest
from test_work import working

from stackgen import compose
from stackgen.smoke import Browser
from tests.conftest import RunningStack, docker

WAIT = 60  # seconds
HTML = {"Accept": "text/html"}
REACHABLE = """
import socket, sys
for place in sys.argv[1:]:
    host, _, port = place.partition(" ")
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
        print(place)
    except OSError:
        pass
"""


def routes(stack: RunningStack) -> dict[str, Any]:
    """nginx's routing table, as the hub reads it."""
    call = 'curl -fsS -H "Authorization: token $CONFIGPROXY_AUTH_TOKEN" http://proxy-api:8001/api/routes'
    answer: dict[str, Any] = json.loads(stack.compose("exec", "-T", "nginx", "sh", "-c", call))
    return answer


def until(met: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT
    while not met():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def stop_server(stack: RunningStack, browser: Browser) -> None:
    """As the user does on the hub's home page; the route is gone then."""
    assert browser.hub_api("DELETE", f"/users/{browser.name}/server").status_code in (202, 204)
    until(lambda: f"/user/{browser.name}" not in routes(stack))


def test_a_server_has_a_route_as_long_as_it_runs(stack: RunningStack) -> None:
    with working(stack, "comes") as browser:
        address = docker(
            "inspect", stack.container("comes"), "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
        )
        route = routes(stack)["/user/comes"]
        assert (route["user"], route["target"]) == ("comes", f"http://{address}:8888")
        stop_server(stack, browser)
        assert browser.start_server()
        assert "/user/comes" in routes(stack)
    assert "/user/comes" not in routes(stack)


def test_nginx_comes_back_with_its_routes(stack: RunningStack) -> None:
    """The first request after a restart reaches the user's server; nobody waits for the hub to notice."""
    with working(stack, "patient") as browser:
        before = routes(stack)
        stack.compose("restart", "nginx")
        stack.compose("up", "-d", "--wait", "nginx")
        assert {path: route["target"] for path, route in routes(stack).items()} == {
            path: route["target"] for path, route in before.items()
        }
        assert browser.api("GET", "/api/status").status_code == 200


def test_a_restart_of_the_hub_interrupts_nobody(stack: RunningStack) -> None:
    """The same websocket to the same kernel works before, during and after, and the route never goes."""
    with working(stack, "busy") as browser:
        channel = browser.open_channel(browser.start_kernel())

        def compute() -> str:
            cell, printed = channel.send("print(6 * 7)"), ""
            while (message := channel.receive())["msg_type"] != "status" or (
                message["content"]["execution_state"] != "idle" or message["parent_header"].get("msg_id") != cell
            ):
                printed += message["content"].get("text", "") if message["msg_type"] == "stream" else ""
            return printed

        assert compute() == "42\n"
        during = 0
        with subprocess.Popen(compose.argv(stack.directory, "restart", "hub"), stderr=subprocess.DEVNULL) as restart:
            while restart.poll() is None:
                assert "/user/busy" in routes(stack)
                assert compute() == "42\n"
                during += 1
        assert during
        stack.compose("up", "-d", "--wait", "hub")
        until(stack.hub.answers)
        assert "/user/busy" in routes(stack)
        assert compute() == "42\n"
        channel.close()


def test_a_renamed_user_has_a_route_of_the_new_name(stack: RunningStack) -> None:
    """After a restart of the hub: until then JupyterHub 6.1 goes on with the path of the old name (User.base_url)."""
    with working(stack, "maiden") as browser:
        stop_server(stack, browser)
        renamed = stack.hub.session.patch(f"{stack.front.url}/hub/api/users/maiden", json={"name": "married@x.org"})
        assert renamed.status_code == 200, renamed.text
        stack.compose("restart", "hub")
        until(stack.hub.answers)
        try:
            after = Browser(stack.front, "married@x.org")
            after.use_token(stack.hub.new_token("married@x.org", 600))
            assert after.start_server()
            assert after.api("GET", "/api/status").status_code == 200
            names = {path for path in routes(stack) if path.startswith("/user/ma")}
            assert names == {"/user/married@x.org"}
        finally:
            stack.hub.remove_user("married@x.org")
        until(lambda: "/user/married@x.org" not in routes(stack))


def test_a_server_that_was_killed_shows_the_hubs_page_and_can_be_started_again(stack: RunningStack) -> None:
    with working(stack, "unlucky") as browser:
        docker("kill", stack.container("unlucky"))
        page = browser.session.get(f"{browser.server}/lab", headers=HTML, timeout=WAIT)
        assert page.status_code == 503
        assert "/hub/home" in page.text  # the hub's way to start it; nginx's own page has none
        assert browser.session.get(f"{browser.server}/api/status", timeout=WAIT).text == "unavailable\n"
        assert browser.start_server()
        assert browser.api("GET", "/api/status").status_code == 200


@pytest.mark.parametrize("service", ["hub", "nginx"])
def test_a_service_that_is_made_anew_is_found(stack: RunningStack, service: str) -> None:
    """`docker compose up` after an upgrade replaces containers, which get other addresses."""
    with working(stack, f"stays-{service}") as browser:
        stack.compose("up", "-d", "--wait", "--no-deps", "--force-recreate", service)
        until(stack.hub.answers)
        assert browser.api("GET", "/api/status").status_code == 200


def test_users_containers_cannot_reach_the_routes(stack: RunningStack) -> None:
    """From a user's own container neither the name nor any address of nginx answers on the API's port."""
    with working(stack, "curious"):
        nginx = stack.compose("ps", "-q", "nginx")
        networks = json.loads(docker("inspect", nginx))[0]["NetworkSettings"]["Networks"]
        hosts = ["proxy-api", "nginx", nginx[:12], *(network["IPAddress"] for network in networks.values())]
        places = [f"{host} 8001" for host in hosts] + ["nginx 80"]
        reached = docker("exec", stack.container("curious"), "python3", "-c", REACHABLE, *places)
        assert reached == "nginx 80"
        published = json.loads(docker("inspect", nginx))[0]["NetworkSettings"]["Ports"]
        assert "8001/tcp" not in published
