"""What users do on a running stack, and what must not get lost or mixed up."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from stackgen import names, smoke
from stackgen.errors import StackgenError
from stackgen.smoke import Browser
from tests.conftest import RunningStack, docker, log_of, stackgen

WELCOME = "Welcome.ipynb"  # what every new user finds


@contextmanager
def working(stack: RunningStack, name: str, password: str = "") -> Iterator[Browser]:
    """A user who has signed in and whose server runs; user and server are gone afterwards, the volume is not."""
    browser = Browser(stack.front, name)
    browser.sign_in(password or stack.user(name))
    browser.start_server()
    try:
        yield browser
    finally:
        stack.hub.remove_user(name)


def write(browser: Browser, path: str, text: str) -> None:
    browser.api("PUT", f"/api/contents/{path}", json={"type": "file", "format": "text", "content": text})


def read(browser: Browser, path: str) -> str:
    return str(browser.api("GET", f"/api/contents/{path}?content=1").json()["content"])


def listing(browser: Browser) -> list[str]:
    return [item["name"] for item in browser.api("GET", "/api/contents/").json()["content"]]


def test_smoke_computes_and_leaves_nothing_behind(stack: RunningStack) -> None:
    """`stackgen smoke` signs in as a throw-away user, computes, and removes user, container and volume."""
    before = docker("volume", "ls", "-q"), {user.name for user in stack.hub.users()}
    done = stackgen("smoke", "--json", "-C", stack.directory)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["result"] == "3 * 5 * 17 * 257 * 641 * 65537 * 6700417"
    assert (docker("volume", "ls", "-q"), {user.name for user in stack.hub.users()}) == before
    assert docker("ps", "-a", "-q", "--filter", f"name={stack.name}-smoke") == ""


def test_smoke_as_a_user_says_when_the_password_is_wrong(stack: RunningStack) -> None:
    stack.user("mistyper")
    done = stackgen("smoke", "--user", "mistyper", "--password-stdin", "-C", stack.directory, stdin="wrong\n")
    assert done.returncode == 1
    assert "mistyper could not sign in" in done.stderr


def test_a_kernel_that_does_not_answer_in_time_is_said_so(stack: RunningStack, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cell that goes on for ever ends the proof with a sentence, not with a traceback."""
    with working(stack, "waiter") as browser:
        kernel = browser.start_kernel()
        assert browser.execute(kernel, "print(1)") == "1"
        monkeypatch.setattr(smoke, "KERNEL_SECONDS", 2)
        with pytest.raises(StackgenError, match="the kernel did not answer"):
            browser.execute(kernel, "sleep(600)")


def test_a_file_survives_the_removal_of_its_container_and_a_restart_of_everything(stack: RunningStack) -> None:
    password = stack.user("keeper")
    with working(stack, "keeper", password) as browser:
        write(browser, "notes.txt", "written before the restart")
        docker("rm", "--force", stack.container("keeper"))
    done = stackgen("down", "-C", stack.directory)
    assert done.returncode == 0, done.stderr
    stack.compose("up", "-d", "--wait")
    with working(stack, "keeper") as browser:
        assert read(browser, "notes.txt") == "written before the restart"


def test_what_a_user_sets_in_jupyterlab_outlives_the_server(stack: RunningStack) -> None:
    theme = "/lab/api/settings/@jupyterlab/apputils-extension:themes"
    password = stack.user("tasteful")
    with working(stack, "tasteful", password) as browser:
        browser.api("PUT", theme, json={"raw": '{"theme": "JupyterLab Dark"}'})
    with working(stack, "tasteful") as browser:
        assert browser.api("GET", theme).json()["settings"] == {"theme": "JupyterLab Dark"}
        assert listing(browser) == [WELCOME]


def test_the_launcher_offers_sagemath_first_and_asks_nothing_of_the_internet(stack: RunningStack) -> None:
    with working(stack, "beginner") as browser:
        offered = browser.api("GET", "/api/kernelspecs").json()
        assert offered["default"] == "sagemath"
        assert {spec["spec"]["display_name"] for spec in offered["kernelspecs"].values()} == {
            "SageMath 10.8",
            "Python 3 (ipykernel)",
        }
        news = browser.api("GET", "/lab/api/settings/@jupyterlab/apputils-extension:notification").json()
        defaults = {
            name: entry["default"] for name, entry in news["schema"]["properties"].items() if "default" in entry
        }
        assert defaults["fetchNews"] == "false"
        assert defaults["checkForUpdates"] is False


def test_a_hub_restart_keeps_a_running_kernels_variable(stack: RunningStack) -> None:
    """The kernel answers over a new websocket while the hub is away, and after it came back."""
    with working(stack, "steady") as browser:
        kernel = browser.start_kernel()
        browser.execute(kernel, "answer = 2 * 3 * 7")
        stack.compose("stop", "hub")
        try:
            assert browser.execute(kernel, "print(answer)") == "42"
        finally:
            stack.compose("start", "hub")
            stack.compose("up", "-d", "--wait")
        assert browser.execute(kernel, "print(answer + 1)") == "43"
        assert {user.name: user.running for user in stack.hub.users()}["steady"]


def test_an_nginx_restart_keeps_a_running_kernels_variable(stack: RunningStack) -> None:
    """nginx knows its routes again at once, without waiting for the hub's next check."""
    with working(stack, "patient") as browser:
        kernel = browser.start_kernel()
        browser.execute(kernel, "answer = 42")
        stack.compose("restart", "nginx")
        stack.compose("up", "-d", "--wait")
        assert browser.execute(kernel, "print(answer)") == "42"


def test_two_users_files_stay_apart(stack: RunningStack) -> None:
    """Each sees only the own files, and neither can reach the other's server."""
    with working(stack, "first") as first, working(stack, "second") as second:
        write(first, "secret.txt", "of the first")
        write(second, "mine.txt", "of the second")
        assert sorted(listing(first)) == [WELCOME, "secret.txt"]
        assert sorted(listing(second)) == [WELCOME, "mine.txt"]
        answer = second.session.get(f"{first.server}/api/contents/secret.txt", timeout=30)
        assert answer.status_code == 403
        assert "of the first" not in answer.text


@pytest.mark.parametrize("name", ["li.lei@example.edu", "韩梅梅", "a-b", "a.b", "a_b"])
def test_names_of_every_kind_get_a_server_and_a_volume_of_their_own(stack: RunningStack, name: str) -> None:
    with working(stack, name) as browser:
        assert listing(browser) == [WELCOME]
        write(browser, "whose.txt", name)
        assert read(browser, "whose.txt") == name
        volume = names.volume_name(stack.settings["VOLUME_PREFIX"], name)
        label = docker("volume", "inspect", volume, "--format", '{{index .Labels "stackgen.user"}}')
        assert label == name


def test_a_volume_of_an_older_deployment_is_taken_over_as_it_is(stack: RunningStack) -> None:
    """A hand-made deployment left an unlabelled volume; its user finds the notebooks in it."""
    volume = f"{stack.settings['VOLUME_PREFIX']}veteran"
    docker("volume", "create", volume)
    image = f"{stack.name}/sage"
    docker("run", "--rm", "-v", f"{volume}:/home/sage/notebooks", image, "sh", "-c", "echo old > thesis.ipynb.txt")
    with working(stack, "veteran") as browser:
        assert read(browser, "thesis.ipynb.txt") == "old\n"
    listed = json.loads(stackgen("volumes", "list", "--json", "-C", stack.directory).stdout)
    assert "veteran" in [item["owner"] for item in listed]


def test_volumes_tells_owner_size_last_use_and_server(stack: RunningStack) -> None:
    with working(stack, "林涛") as browser:
        write(browser, "big.txt", "x" * 3_000_000)
        listed = json.loads(stackgen("volumes", "list", "--json", "-C", stack.directory).stdout)
        mine = next(item for item in listed if item["owner"] == "林涛")
        assert mine["running"] is True
        assert mine["size"] >= 3_000_000
        assert mine["last_use"].startswith("20")
        shown = stackgen("volumes", "list", "-C", stack.directory).stdout
        assert any("林涛" in line and "3.0 MB" in line and "running" in line for line in shown.splitlines())


def test_a_server_has_its_limits_and_no_privileges(stack: RunningStack) -> None:
    with working(stack, "limited"):
        described = json.loads(docker("inspect", stack.container("limited")))[0]
    host = described["HostConfig"]
    assert host["Memory"] == 500 * 1024**2
    assert host["CpuQuota"] == 2 * host["CpuPeriod"]
    assert host["PidsLimit"] == 512
    assert host["CapDrop"] == ["ALL"]
    assert host["SecurityOpt"] == ["no-new-privileges"]
    assert not host["Privileged"]
    assert not host["PortBindings"]
    assert described["Config"]["User"] == "1000:1000"
    assert [mount["Destination"] for mount in described["Mounts"]] == ["/home/sage/notebooks"]


def test_the_log_of_a_server_that_died_is_kept_until_the_next_start(stack: RunningStack) -> None:
    with working(stack, "unlucky") as browser:
        container = stack.container("unlucky")
        docker("kill", container)
        assert "Jupyter Server" in log_of(container)
        assert docker("inspect", container, "--format", "{{.State.Status}}") == "exited"
        stack.hub.session.delete(f"{stack.front.url}/hub/api/users/unlucky/server", timeout=60)
        browser.start_server()
        assert listing(browser) == [WELCOME]
