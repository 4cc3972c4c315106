"""The hub's own pages in English and Chinese browsers: on small screens, light and dark, accessible, only from here."""
# ruff: noqa: RUF001  (full-width punctuation is right in Chinese)

import os
import re
import runpy
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from lab import LOGIN, Visitor
from playwright.sync_api import expect

from tests.conftest import RunningStack, docker, stackgen

Visit = Callable[..., Visitor]
Account = Callable[[], tuple[str, str]]
Say = Callable[[str], str]
CATALOGUE = runpy.run_path(str(Path(__file__).parents[2] / "images/hub/stackgen_hub/chinese.py"))
LANGUAGES = {"en-US": {}, "zh-CN": {**CATALOGUE["PAGES"], **CATALOGUE["MESSAGES"]}}
FAILS = """
import asyncio
async def fail(spawner):
    await asyncio.sleep(3)
    raise RuntimeError("no <b>room</b>")
c.Spawner.pre_spawn_hook = fail
"""
LOGO = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64"><circle cx="32" cy="32" r="30" fill="green"/></svg>'
)


@pytest.fixture(params=LANGUAGES)
def language(request: pytest.FixtureRequest) -> str:
    """What the browser asks for."""
    return str(request.param)


@pytest.fixture
def say(language: str) -> Say:
    """A text in the browser's language."""
    return lambda text: LANGUAGES[language].get(text, text)


@contextmanager
def slow_start(container: str) -> Iterator[None]:
    """The server of this container does not answer meanwhile: it is paused as soon as it runs."""
    waiting = subprocess.Popen(
        ["sh", "-c", f"until docker pause {container}; do sleep 0.05; done"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, process_group=0,
    )  # fmt: skip
    try:
        yield
        assert waiting.wait() == 0
        subprocess.run(["docker", "unpause", container], check=False)  # unless it has been stopped
    finally:
        if waiting.poll() is None:
            os.killpg(waiting.pid, 9)
            waiting.wait()


def test_every_page_is_in_the_browsers_language_and_good_to_use(
    stack: RunningStack, visit: Visit, account: Account, language: str, say: Say
) -> None:
    """From a wrong password to a server that starts, runs and is stopped; login and start load nothing of Bootstrap."""
    visitor, (name, password) = visit(800, 480, locale=language), account()
    page = visitor.page
    button = lambda text: page.get_by_role("button", name=say(text), exact=True)  # noqa: E731
    link = lambda text: page.get_by_role("link", name=say(text), exact=True)  # noqa: E731
    heading = lambda text: page.get_by_role("heading", name=say(text), exact=True)  # noqa: E731
    wanted: list[str] = []
    page.on("request", lambda request: wanted.append(request.url))

    page.goto(f"{visitor.url}/hub/login?next=/hub/home")
    expect(page.locator("html")).to_have_attribute("lang", {"en-US": "en", "zh-CN": "zh-CN"}[language])
    fields = page.get_by_label(say("Username:")), page.get_by_label(say("Password:"))
    visitor.expect_good_page(*fields, button("Sign in"))
    assert len([url for url in wanted if not url.endswith(".ico") and "favicon" not in url]) == 1
    fields[0].fill(name)
    fields[1].fill("not the password")
    button("Sign in").click()
    expect(page.get_by_role("alert")).to_have_text(say("Invalid username or password"))
    visitor.expect_good_page(*fields, button("Sign in"))
    expect(fields[0]).to_have_value(name)
    expect(fields[1]).to_be_focused()
    fields[1].fill(password)
    page.get_by_role("button", name=say("Show the password")).click()
    expect(fields[1]).to_have_attribute("type", "text")
    page.get_by_role("button", name=say("Hide the password")).click()
    expect(fields[1]).to_have_attribute("type", "password")
    button("Sign in").click()

    visitor.expect_home(name)
    start = link("Start My Server")
    visitor.expect_good_page(start, button("Logout"), heading("Your server"))
    link("Password").click()
    labels = ("Present password:", "New password (at least 8 characters):", "New password again:")
    passwords = [page.get_by_label(say(label), exact=True) for label in labels]
    visitor.expect_good_page(*passwords, button("Change password"))
    for field in passwords:
        field.fill("no such password")
    button("Change password").click()
    expect(page.get_by_role("alert")).to_have_text(say("That is not your present password."))

    answer = page.goto(f"{visitor.url}/hub/nonsense")
    assert answer and answer.status == 404
    visitor.expect_good_page(heading("Not Found"), page.get_by_role("main").get_by_role("link", name=say("Home")))

    page.goto(f"{visitor.url}/user/{name}/lab")
    start = link("Start the server")
    visitor.expect_good_page(heading("Server not running"), start)
    wanted.clear()
    with slow_start(stack.container(name)):
        start.click(no_wait_after=True)
        expect(heading("Your server is starting")).to_be_visible()
        expect(page.get_by_role("status")).to_have_text(say("Spawning server..."))
        visitor.expect_good_page(page.get_by_role("progressbar"), button("Stop"))
        assert not [url for url in wanted if re.search(r"/hub/static/(?!favicon)", url)]
    visitor.expect_lab(name)

    page.goto(f"{visitor.url}/hub/home")
    visitor.expect_good_page(link("My Server"), button("Stop My Server"))
    button("Stop My Server").click()
    expect(link("Start My Server")).to_be_visible()
    button("Logout").click()
    expect(page).to_have_url(LOGIN)
    assert visitor.traffic.strangers == set()


def test_a_token_is_made_works_and_is_revoked(stack: RunningStack, visit: Visit, language: str, say: Say) -> None:
    """As the admin, who has some tokens already; the list of their permissions is long."""
    visitor = visit(800, 480, locale=language)
    page = visitor.page
    page.goto(f"{visitor.url}/hub/login?next=/hub/token")
    page.get_by_label(say("Username:")).fill(stack.admin)
    page.get_by_label(say("Password:")).fill(stack.password)
    page.get_by_role("button", name=say("Sign in"), exact=True).click()
    note = page.get_by_label(say("What is it for?"))
    request = page.get_by_role("button", name=say("Request a token"))
    expires = page.get_by_label(say("It expires in:"))
    visitor.expect_good_page(note, expires, request)
    note.fill(f"<b>{language}</b>")
    for option in ("1 Day", "Never"):
        expires.select_option(label=say(option))
    request.click()
    token = page.locator("#token-result")
    visitor.expect_in_sight(token)
    headers = {"Authorization": f"token {token.text_content()}"}
    hub = stack.front.session()
    assert hub.get(f"{visitor.url}/hub/api/user", headers=headers, timeout=30).json()["name"] == stack.admin

    page.reload()
    row = page.get_by_role("row").filter(has_text=f"<b>{language}</b>")
    row.get_by_text(say("Permissions")).click()
    visitor.expect_good_page()
    expect(row).to_contain_text(f"{say('Expires:')} {say('Never')}")
    row.get_by_role("button", name=say("Revoke")).click()
    expect(row).to_have_count(0)
    assert hub.get(f"{visitor.url}/hub/api/user", headers=headers, timeout=30).status_code == 403
    page.get_by_label(say("Permissions (scopes of JupyterHub; if empty, all of yours):")).fill("no-such-scope")
    request.click()
    expect(page.get_by_role("alert")).to_contain_text("no-such-scope")


def test_a_start_that_is_stopped_can_be_tried_again(stack: RunningStack, visit: Visit, account: Account) -> None:
    """The hub calls a start that is interrupted a ready server for a moment; the page is not taken in."""
    visitor, (name, password) = visit(800, 480), account()
    page = visitor.page
    visitor.sign_in_to_hub(name, password)
    with slow_start(stack.container(name)):
        page.get_by_role("link", name="Start My Server").click(no_wait_after=True)
        expect(page.get_by_role("status")).to_have_text("Spawning server...")
        page.get_by_role("button", name="Stop").click()
        expect(page.get_by_role("heading", name="Server not running")).to_be_visible()
    assert "redirects" not in page.url
    page.get_by_role("link", name="Start the server").click(no_wait_after=True)
    visitor.expect_lab(name)


def test_a_start_that_fails_says_why_and_can_be_tried_again(
    stack: RunningStack, visit: Visit, account: Account
) -> None:
    """In Chinese, as far as the reason is known; afterwards, too, the server's address leads to a page that says so."""
    visitor, (name, password) = visit(800, 480, locale="zh-CN"), account()
    page, drop_in = visitor.page, stack.directory / "hub/config.d/50-fails.py"
    drop_in.write_text(FAILS)
    try:
        stack.compose("restart", "hub")
        stack.compose("up", "-d", "--wait")
        page.goto(f"{visitor.url}/hub/login?next=/hub/spawn")
        page.get_by_label("用户名：").fill(name)
        page.get_by_label("密码：").fill(password)
        page.get_by_role("button", name="登录").click(no_wait_after=True)
        expect(page.get_by_role("heading")).to_have_text("服务器正在启动")
        expect(page.get_by_role("heading")).to_have_text("服务器未能启动")
        expect(page.get_by_role("status")).to_have_text("启动失败: no <b>room</b>")
        again = page.get_by_role("link", name="重试")
        visitor.expect_good_page(again)
        page.reload()
        expect(page.get_by_role("heading")).to_have_text("服务器未能启动")
        visitor.expect_good_page(again)
    finally:
        drop_in.unlink()
        stack.compose("restart", "hub")
        stack.compose("up", "-d", "--wait")
    again.click(no_wait_after=True)
    visitor.expect_lab(name)


def test_an_announcement_is_on_every_page_at_once_and_as_plain_text(
    stack: RunningStack, visit: Visit, account: Account
) -> None:
    """No container starts again for it."""
    visitor, (name, password) = visit(800, 480), account()
    page = visitor.page
    text = "Exam on Friday: <b>please</b> save your work. 周五考试，请保存。"
    hub = docker("inspect", "--format", "{{.State.StartedAt}}", f"{stack.name}-hub-1")
    shown = page.locator("aside").filter(has_text=text)
    visitor.sign_in_to_hub(name, password)
    expect(page.locator("aside")).to_have_count(0)
    assert stackgen("announce", "-C", stack.directory, text).returncode == 0
    try:
        for path in ("home", "nonsense", "token", "logout", "login"):
            page.goto(f"{visitor.url}/hub/{path}")
            visitor.expect_in_sight(shown)
        visitor.expect_good_page(shown, page.get_by_role("button", name="Sign in"))
    finally:
        assert stackgen("announce", "-C", stack.directory, "--clear").returncode == 0
    page.reload()
    expect(page.locator("aside")).to_have_count(0)
    assert docker("inspect", "--format", "{{.State.StartedAt}}", f"{stack.name}-hub-1") == hub


def test_the_sites_own_title_and_logo(stack: RunningStack, visit: Visit, tmp_path: Path) -> None:
    """Set in .env, as an operator does; the title is text, whatever is in it."""
    visitor, env, logo = visit(800, 480), stack.directory / ".env", tmp_path / "our logo.svg"
    page, before = visitor.page, env.read_text()
    title = "数学 <b>Maths</b> & Sage"
    logo.write_text(LOGO)
    env.write_text(f"{before}STACK_TITLE={title}\nSTACK_LOGO={logo}\n")
    try:
        assert stackgen("render", "-C", stack.directory).returncode == 0
        done = stackgen("up", "-C", stack.directory)
        assert done.returncode == 0, done.stderr
        page.goto(f"{visitor.url}/hub/login")
        expect(page).to_have_title(f"Sign in · {title}")
        visitor.expect_good_page(page.get_by_text(title), page.get_by_role("button", name="Sign in"))
        assert page.locator(".site-logo").evaluate("async i => { await i.decode(); return i.naturalWidth }") == 64
        visitor.sign_in_to_hub(stack.admin, stack.password)
        visitor.expect_in_sight(page.locator(".site-logo"), page.get_by_role("link", name="Admin"))
    finally:
        env.write_text(before)
        assert stackgen("render", "-C", stack.directory).returncode == 0
        assert stackgen("up", "-C", stack.directory).returncode == 0


def test_while_the_hub_is_away_the_page_says_so_and_comes_back_by_itself(stack: RunningStack, visit: Visit) -> None:
    """nginx cannot ask the hub for the language, so this page has both."""
    visitor = visit(800, 480)
    page = visitor.page
    stack.compose("stop", "hub")
    try:
        answer = page.goto(f"{visitor.url}/hub/login")
        assert answer and answer.status == 503
        visitor.expect_good_page(page.get_by_role("heading", name="One moment"), page.get_by_text("请稍候"))
    finally:
        stack.compose("up", "-d", "--wait")
    expect(page.get_by_label("Password:")).to_be_visible()
