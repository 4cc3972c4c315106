"""From the first release to this one, on to others that are broken on purpose, and back: nobody loses a kernel.

One stack goes through all of it, in the order of the tests.
"""

import json
import os
import random
import re
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from test_work import working

from stackgen import __version__
from stackgen.journal import FOLDER
from stackgen.settings_table import BY_KEY
from stackgen.smoke import Browser
from tests.conftest import RunningStack, docker, free_ports, remove, stackgen

ROOT = Path(__file__).parents[2]
FIRST = ROOT / "tests/releases/stackgen-0.1.0-py3-none-any.whl"
CONFLICT = 3
OVERRIDE = "services:\n  hub:\n    environment:\n      OPERATOR: mine\n"
DROP_IN = "c.JupyterHub.tornado_settings['headers'] = {'X-Operator': 'mine'}\n"


@dataclass
class Release:
    """A stackgen of another version, run from a folder."""

    path: Path

    @classmethod
    def of(cls, folder: Path, version: str) -> "Release":
        """This checkout as if it were that version."""
        for name in ("generator", "compose", "images"):
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "tests"))
        release = cls(folder / "generator")
        release.edit("generator/stackgen/__init__.py", f'"{__version__}"', f'"{version}"')
        return release

    def edit(self, path: str, old: str, new: str) -> None:
        file = self.path.parent / path
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))

    @property
    def environment(self) -> dict[str, str]:
        clean = {key: value for key, value in os.environ.items() if key not in BY_KEY and key != "STACKGEN_DIR"}
        return clean | {"PYTHONPATH": str(self.path)}

    def __call__(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "stackgen", *arguments],
            env=self.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        )  # fmt: skip

    def killed(self, directory: Path, verb: str, step: str, seconds: float) -> None:
        """Run a verb, and kill it some time after the journal says that this step began."""
        program = [sys.executable, "-m", "stackgen", verb, "--yes", "-C", directory]
        with subprocess.Popen(
            program, env=self.environment, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        ) as process:
            while step_of(directory) != step:
                assert process.poll() is None
                time.sleep(0.01)
            time.sleep(seconds)
            process.kill()
        assert process.returncode == -9


def step_of(directory: Path) -> str:
    try:
        return str(json.loads((directory / FOLDER / "journal.json").read_text())["step"])
    except FileNotFoundError:
        return ""


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """A stack of the first release, whose operator has edited all that can be edited."""
    name, (http, https) = f"u{os.getpid()}", free_ports(2)
    folder = tmp_path_factory.mktemp("first")
    with zipfile.ZipFile(FIRST) as wheel:
        wheel.extractall(folder)
    first, directory = Release(folder), folder / "stack"
    base = os.environ.get("STACKGEN_TEST_BASE_IMAGE", "debian:trixie-slim")
    settings = (
        f"STACK_NAME={name}", f"VOLUME_PREFIX={name}-user-", f"BASE_IMAGE={base}",
        "BIND_ADDRESS=127.0.0.1", f"HTTP_PORT={http}", f"HTTPS_PORT={https}",
    )  # fmt: skip
    done = first("init", directory, *(word for setting in settings for word in ("--set", setting)))
    assert done.returncode == 0, done.stderr
    (directory / "compose.override.yaml").write_text(OVERRIDE)
    (directory / "hub/config.d/50-mine.py").write_text(DROP_IN)
    replace(directory / "nginx/nginx.conf", "worker_rlimit_nofile 8192;", "worker_rlimit_nofile 8000;")
    replace(directory / "compose.yaml", "max-size: 10m", "max-size: 11m")
    try:
        done = first("up", "-C", directory)
        assert done.returncode == 0, done.stderr[-3000:]
        assert not (directory / ".stackgen/version").exists()
        yield RunningStack(directory, "ada", "")
    finally:
        remove(directory, name)


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


class Bob:
    """Somebody who computes all the while: one kernel, one variable."""

    def __init__(self, stack: RunningStack) -> None:
        self.stack, self.browser = stack, Browser(stack.front, "bob")
        self.browser.sign_in(stack.user("bob"))
        self.browser.start_server()
        self.kernel = self.browser.start_kernel()
        self.browser.execute(self.kernel, "x = 41")
        self.container = docker("inspect", stack.container("bob"), "--format", "{{.Id}}")

    def works_on(self) -> None:
        assert docker("inspect", self.stack.container("bob"), "--format", "{{.Id}}") == self.container
        assert self.browser.execute(self.kernel, "print(x + 1)") == "42"


@pytest.fixture(scope="module")
def bob(old: RunningStack) -> Bob:
    return Bob(old)


@pytest.fixture
def later(tmp_path: Path) -> Release:
    """A release that is still to come; each test breaks it in its own way."""
    return Release.of(tmp_path, "0.9.0")


def contents(directory: Path) -> dict[str, bytes]:
    """Every file of a stack directory but the journal and what is offered."""
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file() and path.suffix != ".new" and not {"upgrade", "upgrade.lock", "offered"} & set(path.parts)
    }


def status(directory: Path) -> dict[str, object]:
    answer: dict[str, object] = json.loads(stackgen("status", "--json", "-C", directory).stdout)
    return answer


def latest_images(stack: RunningStack) -> set[str]:
    return set(docker("image", "ls", "--quiet", "--no-trunc", f"{stack.name}/*:latest").split())


def tables(stack: RunningStack) -> str:
    program = "import sqlite3; print(*sqlite3.connect('/srv/jupyterhub/data/jupyterhub.sqlite').execute('{}'))"
    query = "SELECT name FROM sqlite_master"
    return stack.compose("exec", "-T", "hub", "python", "-c", program.format(query))


def test_from_the_first_release_an_operators_edits_and_a_running_kernel_are_kept(old: RunningStack, bob: Bob) -> None:
    """Nothing is done behind anybody's back: `up` and `render` name the upgrade, which says what it is going to do."""
    untouched = contents(old.directory)
    for verb in ("up", "render"):
        refused = stackgen(verb, "-C", old.directory)
        assert refused.returncode == CONFLICT
        assert f"stackgen 0.1.0 rendered this stack, and this is stackgen {__version__}" in refused.stderr
    check = stackgen("upgrade", "--check", "--json", "-C", old.directory)
    assert check.returncode == CONFLICT
    assert json.loads(check.stdout)["versions"][0] == {"name": "stackgen", "now": "0.1.0", "new": __version__}
    assert stackgen("upgrade", "-C", old.directory).returncode == 2  # nobody can be asked
    assert contents(old.directory) == untouched

    done = stackgen("upgrade", "--yes", "--smoke", "-C", old.directory)
    assert done.returncode == 0, done.stderr[-3000:]
    bob.works_on()
    assert stackgen("upgrade", "--check", "-C", old.directory).returncode == 0
    assert status(old.directory)["healthy"]
    assert (old.directory / "compose.override.yaml").read_text() == OVERRIDE
    assert (old.directory / "hub/config.d/50-mine.py").read_text() == DROP_IN
    assert "worker_rlimit_nofile 8000;" in (old.directory / "nginx/nginx.conf").read_text()
    assert "max-size: 11m" in (old.directory / "compose.yaml").read_text()
    assert "OPERATOR=mine" in docker("inspect", old.compose("ps", "-q", "hub"), "--format", "{{.Config.Env}}")
    assert old.front.session().get(f"{old.front.url}/hub/login", timeout=30).headers["X-Operator"] == "mine"


def test_a_conflict_is_shown_before_anything_is_touched(old: RunningStack, bob: Bob, later: Release) -> None:
    """The next release changes the very line that the operator has changed."""
    later.edit("compose/nginx/nginx.conf.j2", "worker_rlimit_nofile 8192;", "worker_rlimit_nofile 9999;")
    before, containers = contents(old.directory), old.compose("ps", "-q")
    done = later("upgrade", "--yes", "-C", old.directory)
    assert done.returncode == CONFLICT
    assert re.search(r"^nginx/nginx.conf +edited by you: CONFLICT$", done.stdout, re.MULTILINE)
    assert "nginx/nginx.conf was edited by you where the new version changes it too" in done.stderr
    offered = (old.directory / "nginx/nginx.conf.new").read_text()
    assert "<<<<<<< yours\nworker_rlimit_nofile 8000;" in offered
    assert (contents(old.directory), old.compose("ps", "-q")) == (before, containers)
    bob.works_on()


def broken_image(release: Release) -> str:
    release.edit("images/Dockerfile", "WORKDIR /srv/jupyterhub\n", "WORKDIR /srv/jupyterhub\nRUN false\n")
    return "failed (exit code"


def broken_nginx(release: Release) -> str:
    release.edit("compose/nginx/nginx.conf.j2", "events {\n", "nonsense;\nevents {\n")
    return 'unknown directive "nonsense"'


def broken_hub(release: Release) -> str:
    """It cannot even start, after it has changed its database."""
    release.edit(
        "compose/hub/jupyterhub_config.py",
        "c = get_config()  # noqa: F821\n",
        "c = get_config()\n"
        "if 'upgrade-db' not in sys.argv:\n    raise RuntimeError('from the future')\n"
        "import sqlite3\n"
        "with sqlite3.connect('/srv/jupyterhub/data/jupyterhub.sqlite') as database:\n"
        "    database.execute('CREATE TABLE future (x)')\n",
    )
    return "RuntimeError: from the future"


@pytest.mark.parametrize("broken", [broken_image, broken_nginx, broken_hub])
def test_an_upgrade_that_fails_takes_itself_back(
    old: RunningStack, bob: Bob, later: Release, broken: Callable[[Release], str]
) -> None:
    said = broken(later)
    before, images = contents(old.directory), latest_images(old)
    done = later("upgrade", "--yes", "-C", old.directory)
    assert done.returncode == 1
    assert said in done.stderr
    assert f"the upgrade to 0.9.0 failed, and was taken back: {__version__} runs as before" in done.stderr
    assert status(old.directory)["healthy"]
    bob.works_on()
    assert contents(old.directory) == before
    assert latest_images(old) == images
    assert "future" not in tables(old)
    assert stackgen("upgrade", "--check", "-C", old.directory).returncode == 0


def test_an_upgrade_that_is_killed_again_and_again_gets_there(
    old: RunningStack, bob: Bob, later: Release, tmp_path: Path
) -> None:
    """After a backup, killed in three of its steps, it goes on each time; then an older stackgen changes nothing."""
    repository = tmp_path / "repository"
    done = stackgen("backup", "init", "--repository", repository, "-C", old.directory)
    assert done.returncode == 0, done.stderr
    with (later.path.parent / "images/sage/welcome/en/Welcome.ipynb").open("a") as notebook:
        notebook.write("\n")
    chance = random.Random(6)  # noqa: S311
    for step in ("images", "database", "start"):
        later.killed(old.directory, "upgrade", step, chance.random())
        refused = later("up", "-C", old.directory)
        assert refused.returncode == CONFLICT
        assert f"the upgrade from {__version__} to 0.9.0 was interrupted" in refused.stderr
    done = later("upgrade", "--yes", "-C", old.directory)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "was interrupted (start): going on with it" in done.stderr
    assert len(list((repository / "snapshots").iterdir())) == 1
    bob.works_on()
    assert status(old.directory)["healthy"]

    assert status(old.directory)["outdated"] == ["bob"]
    with working(old, "newcomer"):
        assert status(old.directory)["outdated"] == ["bob"]
        assert status(old.directory)["servers"] == 2
    said = stackgen("status", "-C", old.directory)
    assert "on an older image until their next start: bob\n" in said.stdout
    assert "stackgen 0.9.0" not in said.stderr  # a newer stack is read without a word

    files = contents(old.directory)
    for arguments in (["up"], ["render"], ["upgrade", "--yes"], ["add-admin", "eve", "--generate"], ["announce", "x"]):
        refused = stackgen(*arguments, "-C", old.directory)
        assert refused.returncode == 1
        assert "stackgen 0.9.0 rendered this stack" in refused.stderr
        assert "a downgrade is refused, because" in refused.stderr
    assert contents(old.directory) == files


def test_rollback_brings_back_what_ran_before(old: RunningStack, bob: Bob, later: Release) -> None:
    """By the stackgen that is there, killed once on its way; what was edited meanwhile is kept aside."""
    replace(old.directory / "compose.yaml", "max-size: 11m", "max-size: 12m")
    current = Release(ROOT / "generator")
    images = set(json.loads((old.directory / FOLDER / "journal.json").read_text())["images"].values())
    current.killed(old.directory, "rollback", "undoing", 0.1)
    done = stackgen("rollback", "--yes", "-C", old.directory)
    assert done.returncode == 0, done.stderr[-3000:]
    bob.works_on()
    answer = status(old.directory)
    assert answer["healthy"]
    assert answer["outdated"] == ["bob"]  # since the first upgrade
    assert latest_images(old) == images
    assert "max-size: 11m" in (old.directory / "compose.yaml").read_text()
    assert "max-size: 12m" in (old.directory / ".stackgen/replaced/compose.yaml").read_text()
    containers = old.compose("ps", "-q")
    assert stackgen("up", "-C", old.directory).returncode == 0
    assert old.compose("ps", "-q") == containers
    again = stackgen("rollback", "--yes", "-C", old.directory)
    assert again.returncode == 1
    assert "there is no upgrade to take back" in again.stderr
