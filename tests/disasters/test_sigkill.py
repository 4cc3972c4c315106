"""SIGKILL at random moments, while a backup is made and while one comes back: the old state is there, or the new one.

Each round is a number: the same number is the same action, victim and moment, but not how far the machine is by then.
"""

import itertools
import os
import random
import signal
import stat
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest
from rescue import ROUNDS, USERS, Rescued

from tests import hard_cases
from tests.conftest import STACKGEN, docker, stackgen

USER = USERS[2]
ACTIONS = {
    "run": ("backup", "run"),
    "replace": ("backup", "restore", "--user", USER, "--replace", "--yes"),
    "beside": ("backup", "restore", "--user", USER),
}
VICTIMS = ("stackgen", "restic", "hub", "dockerd")
LONGEST = {"run": 6, "replace": 5, "beside": 4}  # seconds that the action takes, about
SECONDS_TO_HEAL = 120


def processes(stack: str) -> list[int]:
    """Those of restic in containers of this stack's."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (process / "comm").read_text() == "restic\n" and f"STACK_NAME={stack}\0".encode() in (
                process / "environ"
            ).read_bytes():
                found.append(int(process.name))
    return found


def kill(rescued: Rescued, victim: str, command: subprocess.Popen[bytes]) -> None:
    """SIGKILL, to whoever it is if there is one by now."""
    match victim:
        case "stackgen":
            command.kill()
        case "restic":
            while not (found := processes(rescued.stack.name)) and command.poll() is None:
                time.sleep(0.01)
            for process in found:
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
        case "hub":
            os.kill(int(docker("inspect", "--format", "{{.State.Pid}}", f"{rescued.stack.name}-hub-1")), signal.SIGKILL)
        case "dockerd":
            rescued.engine.kill()
            rescued.engine.start()  # as a service manager does


def heal(rescued: Rescued) -> None:
    """Wait until the stack is well again, by itself."""
    end = time.monotonic() + SECONDS_TO_HEAL
    while (done := stackgen("status", "-C", rescued.stack.directory)).returncode:
        assert time.monotonic() < end, done.stdout + done.stderr
        time.sleep(0.2)


def succeeded(rescued: Rescued, *command: str) -> None:
    done = stackgen(*command, "-C", rescued.stack.directory)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("number", range(ROUNDS))
def test_whatever_is_killed_nothing_is_lost_and_the_next_command_works(rescued: Rescued, number: int) -> None:
    """A user's work is changed, then one thing is done and another killed.

    Afterwards the volume is as it was or as it was to become, every snapshot is still there, and the same command does
    what it says when it is given again.
    """
    rng = random.Random(number)  # noqa: S311
    pairs = list(itertools.product(ACTIONS, VICTIMS))
    action, victim = pairs[number * 5 % len(pairs)]  # all of both, whatever number of rounds there is
    moment = rng.uniform(0, LONGEST[action])
    image, volume = f"{rescued.stack.name}/hub", rescued.volume(USER)
    with rescued.engine.inside():
        saved = look(image, volume)
        edit(image, volume, number)
        edited = look(image, volume)
        snapshots = {item["id"] for item in rescued.snapshots()}
        try:
            command = subprocess.Popen(
                [STACKGEN, *ACTIONS[action], "-C", rescued.stack.directory],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            time.sleep(moment)
            kill(rescued, victim, command)
            command.wait()
            heal(rescued)

            found = look(image, volume)
            if action == "replace":
                assert found in (edited, saved)
            else:
                assert without_beside(found) == edited
            assert snapshots <= {item["id"] for item in rescued.snapshots()}

            succeeded(rescued, *ACTIONS[action])
            found = look(image, volume)
            if action == "run":
                assert found == edited
            elif action == "replace":
                assert found == saved
            else:
                assert without_beside(found) == edited
                assert alone(saved) in beside(found)
        finally:
            tidy(image, volume)
        succeeded(rescued, "backup", "run")


def test_after_all_that_the_repository_is_sound_and_a_user_works(rescued: Rescued) -> None:
    """Every snapshot can be read to its last byte, and nothing that was killed left anything behind."""
    with rescued.engine.inside():
        done = docker(*rescued.restic("check", "--read-data"))
        assert "no errors were found" in done
        assert docker(*rescued.restic("list", "locks", "--no-lock")) == ""
        left = docker("ps", "--all", "--format", "{{.Names}}").split()
        assert {name for name in left if "-backup-" in name} == set()
        staged = [path.parent.name for path in rescued.engine.volumes.glob("*/.restoring") if any(path.iterdir())]
        assert staged == []
        password = rescued.stack.user("after-all")
        done = stackgen(
            *("smoke", "--user", "after-all", "--password-stdin", "-C", rescued.stack.directory), stdin=password
        )
        assert done.returncode == 0, done.stderr


def look(image: str, volume: str) -> dict[str, list[object]]:
    return hard_cases.digest(image, [volume])[volume]


def in_volume(image: str, volume: str, script: str) -> None:
    docker("run", "--rm", "--network=none", "--entrypoint=sh", "--volume", f"{volume}:/v", image, "-euc", script)


def edit(image: str, volume: str, number: int) -> None:
    """A user goes on working: something new, something changed, something gone."""
    in_volume(image, volume, f"cd /v; echo {number} >> diary; echo {number} > 'new {number}'; rm -f 'new {number - 1}'")


def without_beside(found: dict[str, list[object]]) -> dict[str, list[object]]:
    """A volume without what was restored beside the rest."""
    return {path: what for path, what in found.items() if not path.startswith("restored-")}


def alone(found: dict[str, list[object]]) -> dict[str, list[object]]:
    """What is the same in another folder: all but the folder itself and the names of links to the same file."""
    files = {path for path, what in found.items() if stat.S_ISREG(int(str(what[0]), 8))}
    return {path: what[:-1] if path in files else what for path, what in found.items() if path != "."}


def beside(found: dict[str, list[object]]) -> list[dict[str, list[object]]]:
    """Each of the folders that were restored beside the rest, as if it were alone."""
    folders: dict[str, dict[str, list[object]]] = {}
    for path, what in found.items():
        name, _, inner = path.partition("/")
        if name.startswith("restored-") and inner and inner.partition("/")[0] != hard_cases.BUSY:
            folders.setdefault(name, {})[inner] = what
    return [alone(folder) for folder in folders.values()]


def tidy(image: str, volume: str) -> None:
    in_volume(image, volume, "rm -rf /v/restored-*")
