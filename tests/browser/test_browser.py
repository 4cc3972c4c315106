"""What people do with the site in a real browser, from the login page to a plot."""

import re
import subprocess
from collections.abc import Callable, Iterator

import pytest
from lab import LOGIN, Visitor
from playwright.sync_api import expect

from tests.conftest import RunningStack, docker

FACTORS = "3 * 5 * 17 * 257 * 641 * 65537 * 6700417"
CHANNELS = r"/api/kernels/[^/]+/channels"

Visit = Callable[..., Visitor]
Account = Callable[[], tuple[str, str]]


def test_plain_http_address_leads_to_a_login_page_that_tells_of_a_wrong_password(
    stack: RunningStack, visit: Visit, account: Account
) -> None:
    """A user types http://; they land on https, where a wrong password is told so and leads nowhere."""
    visitor, (name, _) = visit(), account()
    page, settings = visitor.page, stack.settings
    page.goto(f"http://{settings['DOMAIN']}:{settings['HTTP_PORT']}/")
    assert page.url.startswith(f"{visitor.url}/hub/login")
    assert visitor.url.startswith("https://")
    assert page.evaluate("isSecureContext")
    visitor.fill_in_login(name, "not the password")
    expect(page.get_by_text("Invalid username or password")).to_be_visible()
    expect(page.get_by_label("Password:")).to_have_value("")
    expect(page).to_have_url(LOGIN)


def test_nobody_can_sign_up(visit: Visit) -> None:
    """The login page offers no sign-up, and its usual address is not there."""
    visitor = visit()
    visitor.page.goto(f"{visitor.url}/hub/login")
    expect(visitor.page.get_by_label("Password:")).to_be_visible()
    expect(visitor.page.get_by_text(re.compile("sign ?up|register|create", re.IGNORECASE))).to_have_count(0)
    expect(visitor.page.locator("a[href*=signup]")).to_have_count(0)
    answer = visitor.page.goto(f"{visitor.url}/hub/signup")
    assert answer and answer.status == 404


def test_admin_computes_and_plots_in_a_sage_notebook_and_saves_it(stack: RunningStack, visit: Visit) -> None:
    """The admin signs in, factors a number, sees a plot, saves the notebook and signs out for good."""
    visitor = visit()
    visitor.sign_in(stack.admin, stack.password)
    visitor.new_notebook()
    expect(visitor.run("factor(2^64-1)")).to_have_text(FACTORS)
    picture = visitor.run("plot(sin(x), (x, -5, 5))").locator("img")
    # decode() fails unless all of the picture's bytes are there
    width, height = picture.evaluate("async i => { await i.decode(); return [i.naturalWidth, i.naturalHeight] }")
    assert width > 100 and height > 100
    visitor.save("first steps.ipynb")
    saved = docker("exec", f"{stack.name}-{stack.admin}", "cat", "/home/sage/notebooks/first steps.ipynb")
    assert FACTORS in saved and "image/png" in saved

    visitor.sign_out()
    expect(visitor.page).to_have_url(LOGIN)
    visitor.page.goto(f"{visitor.url}/user/{stack.admin}/lab")
    expect(visitor.page).to_have_url(LOGIN)
    expect(visitor.page.get_by_label("Password:")).to_be_visible()


def test_a_user_cannot_see_another_users_files(visit: Visit, account: Account) -> None:
    """Two users write a file each; the second one is refused the first one's pages, and shown nothing of theirs."""
    (first, first_password), (second, second_password) = account(), account()
    author, reader = visit(), visit()
    author.sign_in(first, first_password)
    author.write_file("mine.txt", "known to the author alone")
    reader.sign_in(second, second_password)
    expect(reader.files()).to_have_text([re.compile("Welcome.ipynb")])
    reader.write_file("other.txt", "something else")
    expect(reader.files()).to_have_count(2)
    for path in ("lab", "lab/tree/mine.txt", "files/mine.txt", "api/contents/mine.txt?content=1"):
        answer = reader.page.goto(f"{reader.url}/user/{first}/{path}")
        assert answer and answer.status == 403, path
        assert "known to the author" not in reader.page.content(), path
    # the very same address is good for its owner
    answer = author.page.goto(f"{author.url}/user/{first}/files/mine.txt")
    assert answer and answer.status == 200
    assert "known to the author alone" in author.page.content()


def test_a_handheld_screen_of_800x480_is_enough(visit: Visit, account: Account) -> None:
    """On a small screen the whole login form is in sight without scrolling, and so is the result of a cell."""
    visitor, (name, password) = visit(width=800, height=480), account()
    page = visitor.page
    page.goto(f"{visitor.url}/hub/login")
    for control in (page.get_by_label("Username:"), page.get_by_role("button", name="Sign in")):
        expect(control).to_be_in_viewport(ratio=1)
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    visitor.sign_in(name, password)
    visitor.new_notebook()
    output = visitor.run("factor(2^64-1)")
    expect(output).to_have_text(FACTORS)
    expect(output).to_be_in_viewport(ratio=1)


def test_nothing_fails_behind_the_scenes(visit: Visit, account: Account) -> None:
    """From the login page to a result no request fails and no error is logged; the kernel's websocket opens."""
    visitor, (name, password) = visit(), account()
    visitor.sign_in(name, password)
    visitor.page.wait_for_load_state("networkidle")
    assert visitor.traffic.problems == []
    visitor.new_notebook()
    expect(visitor.run("1 + 1")).to_have_text("2")
    answers = visitor.traffic.socket_answers(CHANNELS)
    assert answers and set(answers) == {101}
    assert visitor.traffic.problems == []


@pytest.fixture
def chinese_lab(stack: RunningStack) -> Iterator[str]:
    """JupyterLab of the Sage image, with the language folder that the hub chooses for STACK_LANGUAGE=zh; its URL."""
    language = "JUPYTER_CONFIG_PATH=/opt/stackgen/language/zh"
    network = f"container:{stack.name}-nginx-1"  # where the browser is, see conftest.py
    command = ["jupyter", "lab", "--ip=127.0.0.1", "--port=8899", "--no-browser", "--IdentityProvider.token="]
    container = docker("run", "-d", "--network", network, "--env", language, f"{stack.name}/sage", *command)
    try:
        with subprocess.Popen(
            ["docker", "logs", "--follow", container], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as log:
            assert log.stdout
            assert any("is running at" in line for line in log.stdout), docker("logs", container)
            log.kill()
        yield "http://127.0.0.1:8899"
    finally:
        docker("rm", "--force", container)


def test_jupyterlab_speaks_chinese_when_the_stack_does(chinese_lab: str, visit: Visit) -> None:
    """A user of a Chinese stack sees Chinese menus without choosing anything, and the setting is still a default."""
    page = visit().page
    page.goto(f"{chinese_lab}/lab")
    expect(page.get_by_role("menuitem", name="文件", exact=True)).to_be_visible()
    setting = page.evaluate(
        "async () => (await fetch('/lab/api/settings/@jupyterlab/translation-extension:plugin')).json()"
    )
    assert setting["schema"]["properties"]["locale"]["default"] == "zh_CN"
    assert setting["settings"] == {}
