"""How JupyterLab starts: with nginx's copies of its files, and with one launcher as soon as there is room for it."""

import re
from collections.abc import Callable

from lab import Visitor
from playwright.sync_api import Response, expect

from tests.conftest import RunningStack, docker

SCRIPTS = re.compile(r"/user/[^/]+/((?:static/lab|lab/extensions)/.+\.js.*)")


def tabs(user: Visitor) -> list[str]:
    """What is open in the middle of JupyterLab."""
    return user.page.locator("#jp-main-dock-panel .lm-TabBar-tabLabel").all_inner_texts()


def test_what_is_fetched_ahead_is_what_jupyterlab_loads(
    visit: Callable[..., Visitor], account: Callable[[], tuple[str, str]], stack: RunningStack
) -> None:
    """The list of scripts that browsers fetch while a server starts is right, and nginx sends them all, compressed.

    After an upgrade of JupyterLab this test shows what belongs into images/nginx/static/prefetch.
    """
    ahead = docker("exec", f"{stack.name}-nginx-1", "cat", "/usr/share/stackgen/static/prefetch").split()
    loaded: dict[str, Response] = {}
    user = visit()

    def note(response: Response) -> None:
        if path := SCRIPTS.search(response.url):
            loaded[path.group(1)] = response

    user.page.on("response", note)
    user.sign_in(*account())
    assert sorted(loaded) == sorted(ahead)
    large = [response for response in loaded.values() if len(response.body()) > 10_000]
    assert len(large) > 30
    assert {response.headers["content-encoding"] for response in large} == {"br"}
    assert {response.headers["cache-control"] for response in loaded.values()} == {
        "public, max-age=31536000, immutable"
    }


def test_one_launcher_and_none_beside_a_notebook(
    visit: Callable[..., Visitor], account: Callable[[], tuple[str, str]]
) -> None:
    """Who comes to an empty JupyterLab gets one launcher; who follows a link to a file gets the file alone."""
    name, password = account()
    user = visit()
    with user.page.expect_response(lambda response: "/lab/api/workspaces/" in response.url and response.status == 204):
        user.sign_in(name, password)
    assert tabs(user) == ["Launcher"]  # after the workspace is saved JupyterLab would have opened its own
    user.write_file("notes.txt", "2+2")
    user.page.goto(f"{user.url}/user/{name}/lab/tree/notes.txt")
    expect(user.page.locator(".jp-FileEditor .cm-content")).to_have_text("2+2")
    assert tabs(user) == ["notes.txt"]
