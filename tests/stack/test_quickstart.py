"""The README's first command, run for real."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from stackgen import envfile
from stackgen.engine import Engine
from stackgen.front import FrontDoor
from stackgen.settings import Settings
from stackgen.smoke import EXPECTED, Browser
from tests.conftest import docker, free_ports, remove

CHECKOUT = Path(__file__).parents[2]
QUICKSTART = CHECKOUT / "scripts/quickstart"


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [QUICKSTART, *map(str, arguments)], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    remove(tmp_path / "stack", f"q{os.getpid()}")


def test_quickstart_brings_a_stack_up_and_a_second_run_changes_nothing(folder: Path) -> None:
    """From a checkout to the Sage result, the address, the admin's password; then again, with all of it kept."""
    http, https = free_ports(2)
    name = f"q{os.getpid()}"
    options: list[str | Path] = ["--yes", "--dir", folder / "stack", "--prefix", folder / "prefix", "--admin", "emmy"]
    for setting in (
        f"STACK_NAME={name}",
        f"VOLUME_PREFIX={name}-user-",
        "BIND_ADDRESS=127.0.0.1",
        f"HTTP_PORT={http}",
        f"HTTPS_PORT={https}",
    ):
        options += ["--set", setting]
    first = run(*options)
    assert first.returncode == 0, first.stderr[-3000:]
    assert EXPECTED in first.stdout
    assert f"Open  https://localhost:{https}/" in first.stdout
    assert "Sign in as      emmy" in first.stdout
    assert "seconds  step" in first.stdout
    password = next(line.split()[-1] for line in first.stdout.splitlines() if line.startswith("with password"))
    settings = Settings(envfile.read(folder / "stack/.env"))
    Browser(FrontDoor.of(settings, Engine()), "emmy").sign_in(password)
    assert (folder / "prefix/bin/stackgen").exists()

    ours = ("ps", "-a", "--no-trunc", "-q", "--filter", f"name={name}-")
    containers = docker(*ours)
    files = {path: path.stat().st_mtime_ns for path in (folder / "stack").rglob("*") if path.is_file()}
    second = run(*options)
    assert second.returncode == 0, second.stderr[-3000:]
    assert EXPECTED in second.stdout
    assert "for a new password" in second.stdout
    assert docker(*ours) == containers
    assert {path: path.stat().st_mtime_ns for path in (folder / "stack").rglob("*") if path.is_file()} == files
    Browser(FrontDoor.of(settings, Engine()), "emmy").sign_in(password)


def test_quickstart_says_what_it_will_do_and_asks_first(tmp_path: Path) -> None:
    """With no terminal to ask on it names the flag, and does nothing."""
    done = run("--dir", tmp_path / "stack", "--prefix", tmp_path / "prefix")
    assert done.returncode == 2
    assert f"write a stack into {tmp_path}/stack" in done.stderr
    assert "hint: add --yes" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", [["--dri", "x"], ["--dir"], ["--set"]])
def test_quickstart_refuses_options_that_it_does_not_know(arguments: list[str]) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")


def test_quickstart_help_names_every_option() -> None:
    done = run("--help")
    assert done.returncode == 0
    for option in ("--dir", "--prefix", "--admin", "--set", "--yes"):
        assert option in done.stdout


def test_the_engines_packages_bring_no_other_upgrade() -> None:
    """On Debian 12 Docker comes from trixie; nothing else may follow from there."""
    if not Path("/etc/apt/preferences.d/stackgen-trixie").exists():
        assert subprocess.run([CHECKOUT / "scripts/install-engine", "--check"], check=False).returncode == 0
        return
    done = subprocess.run(["apt-get", "--simulate", "upgrade"], capture_output=True, text=True, check=True)
    upgrades = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("Inst") and "trixie" in line]
    assert set(upgrades) <= {"docker.io", "docker-cli", "docker-compose", "docker-buildx", "containerd"}
