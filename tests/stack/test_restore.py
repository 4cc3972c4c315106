"""Restoring: a whole stack where nothing is left, one user's volume, one file; beside what is there or in its place."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress

import pytest
from backup_support import ColdStack, cold_stack

from tests import hard_cases
from tests.conftest import STACKGEN, docker, stackgen

HUB = """
import sqlite3
hub = sqlite3.connect("/v/jupyterhub.sqlite")
hub.execute("CREATE TABLE users (name)")
hub.execute("INSERT INTO users VALUES ('ada')")
hub.commit()
"""
ASK = "import sqlite3; print(*sqlite3.connect('/v/jupyterhub.sqlite').execute('SELECT name FROM users'))"


@pytest.fixture(scope="module")
def cold(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ColdStack]:
    """A stack with hard cases in the volumes of five users, and a snapshot of it."""
    with cold_stack(tmp_path_factory.mktemp("cold"), f"c{os.getpid()}") as stack:
        hard_cases.fill(stack.image, [stack.volume(f"u{number}") for number in range(5)], small=2500, large=128 << 20)
        stack.python(f"{stack.name}-hub-data", HUB)
        yield stack


def volumes(stack: ColdStack) -> list[str]:
    return [f"{stack.name}-user-u{number}" for number in range(5)]


def secrets(stack: ColdStack) -> str:
    """What the operator has kept elsewhere."""
    return f"BACKUP_PASSWORD={stack.password}\n"


def bring_back(stack: ColdStack, kept: str, *options: str) -> subprocess.CompletedProcess[str]:
    place = (stack.directory, "--repository", stack.repository, "--secrets", "-")
    return stackgen("backup", "restore", *place, *options, stdin=kept)


def left(stack: ColdStack) -> list[str]:
    """What a restore made for its own use, and should have taken away."""
    found = [name for name in docker("volume", "ls", "-q").split() if name.startswith("restore")]
    return found + [path.name for path in stack.directory.parent.iterdir() if path.name not in ("stack", "repository")]


def test_a_whole_stack_comes_back_where_nothing_is_left(cold: ColdStack) -> None:
    """Backed up while somebody writes; volumes and stack directory gone; the restore is killed and run again."""
    writer = hard_cases.writing(cold.image, volumes(cold)[1])
    try:
        assert cold.run()["problems"] == []
    finally:
        docker("rm", "--force", writer)
    before, kept = hard_cases.digest(cold.image, volumes(cold)), secrets(cold)
    env = (cold.directory / ".env").read_bytes()
    modes = {path: path.lstat().st_mode for path in cold.directory.rglob("*") if ".stackgen/backup" not in str(path)}
    refused = bring_back(cold, kept)
    assert refused.returncode == 3
    for what in (f"the folder {cold.directory}", f"the volume {cold.name}-hub-data", f"the volume {volumes(cold)[0]}"):
        assert f"error: {what}" in refused.stderr
    assert hard_cases.digest(cold.image, volumes(cold)[:1]) == {volumes(cold)[0]: before[volumes(cold)[0]]}
    assert left(cold) == []

    for name in docker("volume", "ls", "-q", "--filter", f"name={cold.name}-").split():
        docker("volume", "rm", name)
    shutil.rmtree(cold.directory)
    arguments = [STACKGEN, "backup", "restore", cold.directory, "--repository", cold.repository, "--secrets", "-"]
    first = subprocess.Popen(arguments, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert first.stdin
    first.stdin.write(kept)
    first.stdin.close()
    staged = cold.directory.parent / ".stack.restoring/stack"
    while not (staged.is_dir() and any(staged.iterdir())):
        assert first.poll() is None
    with suppress(AssertionError):  # it may just have ended
        docker("kill", docker("ps", "--quiet", "--filter", "name=^restore.*-backup-run"))
    first.wait()
    done = bring_back(cold, kept)
    assert done.returncode == 0, done.stderr
    assert "stackgen up" in done.stderr
    after = hard_cases.digest(cold.image, volumes(cold))
    for name in volumes(cold):
        assert after[name] == before[name]
    assert (cold.directory / ".env").read_bytes() == env
    assert {path: path.lstat().st_mode for path in cold.directory.rglob("*")} == modes
    assert cold.python(f"{cold.name}-hub-data", ASK) == "('ada',)"
    labels = json.loads(docker("volume", "inspect", volumes(cold)[2]))[0]["Labels"]
    assert labels == {"stackgen.stack": cold.name, "stackgen.user": "u2"}
    assert left(cold) == []


def test_what_is_there_is_replaced_only_when_told(cold: ColdStack) -> None:
    cold.run()
    before = hard_cases.digest(cold.image, volumes(cold)[:2])
    cold.inside(volumes(cold)[0], "rm -r notebooks && echo new >new")
    (cold.directory / ".env").chmod(0o644)
    kept = secrets(cold)
    asked = bring_back(cold, kept, "--replace")
    assert asked.returncode == 2
    assert "nobody can be asked here" in asked.stderr
    done = bring_back(cold, kept, "--replace", "--yes")
    assert done.returncode == 0, done.stderr
    assert f"to be replaced: the volume {volumes(cold)[0]} holds files" in done.stderr
    assert hard_cases.digest(cold.image, volumes(cold)[:2]) == before
    assert (cold.directory / ".env").stat().st_mode & 0o777 == 0o600
    (older,) = left(cold)
    assert older.startswith("stack.before-")
    assert (cold.directory.parent / older / ".env").is_file()
    shutil.rmtree(cold.directory.parent / older)


def test_a_stack_at_work_is_not_replaced(cold: ColdStack) -> None:
    server = hard_cases.writing(cold.image, volumes(cold)[0])
    try:
        done = bring_back(cold, secrets(cold), "--replace", "--yes")
        assert done.returncode == 3
        assert f"the stack {cold.name} is at work here" in done.stderr
        done = cold.backup("restore", "--user", "u0", "--replace", "--yes")
        assert done.returncode == 3
        assert f"works in the volume {volumes(cold)[0]}" in done.stderr
    finally:
        docker("rm", "--force", server)


def test_a_user_gets_yesterdays_files_beside_todays(cold: ColdStack) -> None:
    volume = cold.volume("gil", "yesterday")
    cold.run()
    cold.inside(volume, "echo today >notebooks/x.ipynb")
    done = cold.backup("restore", "--user", "gil", "--json")
    assert done.returncode == 0, done.stderr
    folder = json.loads(done.stdout)["placed"]
    done = cold.backup("restore", "--user", "gil", "--path", "notebooks/x.ipynb", "--json")
    file = json.loads(done.stdout)["placed"]
    assert file == f"{folder}-2/notebooks/x.ipynb"
    shown = cold.inside(volume, f"cat notebooks/x.ipynb {folder}/notebooks/x.ipynb {file}; stat -c %u {folder} {file}")
    assert shown.split() == ["today", "yesterdayyesterday1000", "1000"]


def test_a_user_gets_one_file_or_all_in_place_of_what_is_there(cold: ColdStack) -> None:
    volume = cold.volume("hal", "yesterday")
    cold.run()
    cold.inside(volume, "echo today >notebooks/x.ipynb; echo more >notebooks/y")
    done = cold.backup("restore", "--user", "hal", "--path", "/notebooks//./x.ipynb", "--replace", "--yes")
    assert done.returncode == 0, done.stderr
    assert cold.inside(volume, "cat notebooks/x.ipynb notebooks/y") == "yesterdaymore"
    done = cold.backup("restore", "--user", "hal", "--replace", "--yes")
    assert done.returncode == 0, done.stderr
    assert cold.inside(volume, "find . -type f -print -exec cat {} +") == "./notebooks/x.ipynb\nyesterday"
    done = cold.backup("restore", "--user", "hal", "--path", "no/such", "--replace", "--yes")
    assert done.returncode == 1
    assert "has no no/such" in done.stderr
    docker("volume", "rm", volume)
    done = cold.backup("restore", "--user", "hal")  # nothing is there that could be beside it
    assert done.returncode == 0, done.stderr
    assert cold.inside(volume, "cat notebooks/x.ipynb; stat -c ' %U' .") == "yesterday UNKNOWN"


def test_a_link_that_a_user_made_leads_no_restore_astray(cold: ColdStack) -> None:
    """`notebooks` is a link to the hub's database now: the file of that name must not be written there."""
    volume = cold.volume("eve", "yesterday")
    cold.run()
    cold.inside(volume, "mv notebooks away; ln -s /state notebooks")
    done = cold.backup("restore", "--user", "eve", "--path", "notebooks/x.ipynb", "--replace", "--yes")
    assert done.returncode == 3
    assert "notebooks in the volume is no folder any more" in done.stderr
    assert not (cold.directory / ".stackgen/backup/x.ipynb").exists()
    done = cold.backup("restore", "--user", "eve", "--path", "notebooks", "--replace", "--yes")
    assert done.returncode == 0, done.stderr
    assert cold.inside(volume, "cat notebooks/x.ipynb; test ! -L notebooks") == "yesterday"
