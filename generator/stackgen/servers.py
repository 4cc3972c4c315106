"""Users' servers as they are reached from outside: what an upgrade must not take away."""

import time
from collections.abc import Mapping
from urllib.parse import quote

import requests

from stackgen.engine import USER_LABEL, Engine
from stackgen.errors import StackgenError
from stackgen.front import FrontDoor
from stackgen.hubapi import Hub
from stackgen.stack import Stack

FIND_SECONDS = 60


def answering(stack: Stack, engine: Engine) -> dict[str, str]:
    """The users whose servers answer through nginx, each with the name of the container; none if nginx is down."""
    try:
        front = FrontDoor.of(stack.settings, engine)
    except StackgenError:
        return {}
    return {user: container for user, container in _running(stack, engine).items() if _answers(front, user)}


def lost(stack: Stack, engine: Engine, hub: Hub, servers: Mapping[str, str]) -> list[str]:
    """Those of these users whose containers run, and whom nginx or the hub does not lead to them any more.

    A hub that has just started is given a minute to find them all.
    """
    end = time.monotonic() + FIND_SECONDS
    while (gone := _lost(stack, engine, hub, servers)) and time.monotonic() < end:
        time.sleep(1)
    return gone


def _lost(stack: Stack, engine: Engine, hub: Hub, servers: Mapping[str, str]) -> list[str]:
    front, running = FrontDoor.of(stack.settings, engine), _running(stack, engine)
    known = {user.name for user in hub.users() if user.running}
    return [
        user
        for user, container in servers.items()
        if running.get(user) == container and not (user in known and _answers(front, user))
    ]


def _running(stack: Stack, engine: Engine) -> dict[str, str]:
    servers = engine.user_servers(stack.settings["STACK_NAME"])
    return {server.labels[USER_LABEL]: server.name for server in servers if server.state == "running"}


def _answers(front: FrontDoor, user: str) -> bool:
    """Whether a user's server answers; where there is no route to one the hub does, with a redirection to itself."""
    try:
        path = f"/user/{quote(user, safe='@')}/api"
        answer = front.session().get(f"{front.url}{path}", timeout=30, allow_redirects=False)
    except requests.RequestException:
        return False
    return answer.status_code < 500 and not answer.headers.get("Location", "").startswith("/hub/")
