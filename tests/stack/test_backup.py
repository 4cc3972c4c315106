"""Backups of a stack that runs: what they hold, that users go on, and that whatever ends a run spoils nothing."""

import json
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from backup_support import in_volume, restic

from stackgen import envfile
from tests import hard_cases
from tests.conftest import STACKGEN, RunningStack, docker, stackgen

NOTEBOOK = '{"cells": []}'


@pytest.fixture(scope="module")
def repository(stack: RunningStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder for the repository of the stack, to which `stackgen backup init` gave a password; bea has a notebook."""
    before = (stack.directory / ".env").read_text()
    folder = tmp_path_factory.mktemp("backup") / "repository"
    done = stackgen("backup", "init", "--repository", folder, "-C", stack.directory)
    assert done.returncode == 0, done.stderr
    assert "Keep a copy" in done.stderr
    assert password(stack) not in done.stderr + done.stdout
    stack.user("bea")
    volume(stack, "bea")
    yield folder
    envfile.write(stack.directory / ".env", before)
    stackgen("render", "-C", stack.directory)
    stackgen("users", "remove", "bea", "-C", stack.directory)


def password(stack: RunningStack) -> str:
    return envfile.read(stack.directory / ".env")["BACKUP_PASSWORD"]


def volume(stack: RunningStack, user: str, *options: str) -> str:
    """Make the volume of a user, with a notebook in it; its name."""
    name = f"{stack.settings['VOLUME_PREFIX']}{user}"
    docker("volume", "create", *options, "--label", f"stackgen.stack={stack.name}", name)
    in_volume(f"{stack.name}/backup", name, f"printf %s '{NOTEBOOK}' >'über.ipynb' && chown -R 1000:1000 .")
    return name


def run(stack: RunningStack) -> subprocess.CompletedProcess[str]:
    return stackgen("backup", "run", "--json", "-C", stack.directory)


def look(stack: RunningStack, repository: Path, *arguments: str) -> str:
    return restic(f"{stack.name}/backup", repository, password(stack), *arguments)


def test_one_run_holds_everything(stack: RunningStack, repository: Path, tmp_path: Path) -> None:
    """The hub's database as a sound copy, .env and the operator's files, and every volume with whose it is."""
    (stack.directory / "hub/config.d/our-own.py").write_text("# the operator's\n")
    writer = hard_cases.writing(f"{stack.name}/hub", volume(stack, "cleo"))
    try:
        done = run(stack)
    finally:
        docker("rm", "--force", writer)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["problems"] == []
    assert f"snapshot {report['snapshot'][:8]}: {report['files']} files" in done.stderr
    listed = set(look(stack, repository, "ls", "latest").splitlines())
    data = f"/volumes/{stack.name}-hub-data/_data"
    assert {
        "/stack/.env", "/stack/compose.yaml", "/stack/hub/config.d/our-own.py", f"{data}/cookie_secret",
        f"/volumes/{stack.name}-user-bea/_data/über.ipynb", f"/volumes/{stack.name}-nginx-state/_data",
    } <= listed  # fmt: skip
    assert f"{data}/jupyterhub.sqlite" not in listed
    mounted = ("--volume", f"{repository}:/repository", "--volume", f"{tmp_path}:/out")
    settings = ("--env", "RESTIC_REPOSITORY=/repository", "--env", f"RESTIC_PASSWORD={password(stack)}")
    dump = "restic -q dump latest /stackgen/hub.sqlite >/out/hub.sqlite; restic -q dump latest /stackgen/manifest.json"
    docker_run = ("run", "--rm", "--network=none", "--entrypoint=sh", *mounted, *settings, f"{stack.name}/backup")
    manifest = json.loads(docker(*docker_run, "-euc", dump))
    with closing(sqlite3.connect(tmp_path / "hub.sqlite")) as copy:
        assert copy.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert {"ada"} <= {name for (name,) in copy.execute("SELECT name FROM users")}
        assert {"ada", "bea"} <= {name for (name,) in copy.execute("SELECT username FROM users_info")}
    assert manifest["stack"] == stack.name
    owners = {name: entry["owner"] for name, entry in manifest["volumes"].items()}
    assert owners[f"{stack.name}-user-bea"] == "bea"
    assert owners[f"{stack.name}-hub-data"] == ""
    (stack.directory / "hub/config.d/our-own.py").unlink()
    docker("volume", "rm", f"{stack.name}-user-cleo")


def test_the_list_shows_snapshots_and_what_a_user_had(stack: RunningStack, repository: Path) -> None:
    stack.compose("run", "--rm", "backup", "run")  # without stackgen, too
    found = json.loads(stackgen("backup", "list", "--json", "-C", stack.directory).stdout)
    known = json.loads(look(stack, repository, "snapshots", "--json"))
    assert {item["id"] for item in found} == {item["id"] for item in known}
    of_bea = json.loads(stackgen("backup", "list", "--user", "Bea", "--json", "-C", stack.directory).stdout)
    assert [(item["files"], item["bytes"]) for item in of_bea] == [(1, len(NOTEBOOK))] * len(found)
    files = stackgen("backup", "list", "--files", "--user", "bea", "-C", stack.directory)
    assert files.stdout.splitlines()[1].split()[:3] == ["über.ipynb", "file", f"{len(NOTEBOOK)}"]
    missing = stackgen("backup", "list", "--files", "--user", "bea", "--path", "no/such", "-C", stack.directory)
    assert (missing.returncode, missing.stdout) == (1, "")
    assert "has no no/such in the volume of bea" in missing.stderr


def test_a_killed_run_is_nothing_but_late(stack: RunningStack, repository: Path) -> None:
    """Whatever it left, a lock too, the next run goes on, and the repository is sound."""
    name = volume(stack, "dora")
    in_volume(f"{stack.name}/backup", name, "head -c 200000000 /dev/urandom >measurements")
    before = {path for path in (repository / "data").rglob("*") if path.is_file()}
    running = subprocess.Popen([STACKGEN, "backup", "run", "-C", stack.directory], stderr=subprocess.PIPE, text=True)
    while not {path for path in (repository / "data").rglob("*") if path.is_file()} - before:
        assert running.poll() is None, running.communicate()
    container = docker("ps", "--quiet", "--filter", f"name={stack.name}-backup-run")
    running.kill()  # stackgen is gone, and the container works on
    docker("kill", container)
    running.wait()
    assert list((repository / "locks").iterdir())
    done = run(stack)
    assert done.returncode == 0, done.stderr
    # a lock that keeps everybody else out, too
    container = stack.compose("run", "--detach", "--rm", "backup", "restic", "check", "--read-data")
    while not list((repository / "locks").iterdir()):
        time.sleep(0.01)
    docker("kill", container)
    assert list((repository / "locks").iterdir())
    done = run(stack)
    assert done.returncode == 0, done.stderr
    assert "measurements" in look(stack, repository, "ls", "latest")
    look(stack, repository, "check")
    docker("volume", "rm", name)


def test_a_volume_that_cannot_be_read_is_said_and_all_else_is_kept(stack: RunningStack, repository: Path) -> None:
    """A mount of elsewhere is mounted only while a container uses it: without a word the backup would hold nothing."""
    name = f"{stack.settings['VOLUME_PREFIX']}emil"
    options = ("--opt", "type=tmpfs", "--opt", "device=tmpfs")
    docker("volume", "create", *options, name)
    try:
        done = run(stack)
        assert done.returncode == 1
        assert f"error: the volume {name} is not in the backup: it is a mount of tmpfs" in done.stderr
        assert f"{stack.name}-user-bea" in look(stack, repository, "ls", "latest")
    finally:
        docker("volume", "rm", name)


def test_a_wrong_password_is_said(stack: RunningStack, repository: Path) -> None:
    before = (stack.directory / ".env").read_text()
    try:
        envfile.write(stack.directory / ".env", envfile.updated(before, {"BACKUP_PASSWORD": "not-this-one"}))
        done = run(stack)
        assert done.returncode == 5
        assert f"error: BACKUP_PASSWORD is not the password of the repository at {repository}" in done.stderr
        assert "not-this-one" not in done.stderr
    finally:
        envfile.write(stack.directory / ".env", before)


def test_a_full_disk_spoils_nothing(stack: RunningStack, repository: Path, tmp_path: Path) -> None:
    """It is said, and with room again the next run goes on."""
    disk, folder, before = tmp_path / "disk", tmp_path / "mounted", (stack.directory / ".env").read_text()
    folder.mkdir()
    name = volume(stack, "fritz")
    with disk.open("wb") as file:
        file.truncate(24 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-m0", disk], check=True)
    subprocess.run(["mount", "-o", "loop", disk, folder], check=True)
    try:
        moved = {"BACKUP_REPOSITORY": str(folder)}
        envfile.write(stack.directory / ".env", envfile.updated(before, moved))
        done = stackgen("backup", "init", "-C", stack.directory)
        assert done.returncode == 0, done.stderr
        assert run(stack).returncode == 0
        in_volume(f"{stack.name}/backup", name, "head -c 60000000 /dev/urandom >measurements")
        done = run(stack)
        assert done.returncode == 1
        assert f"error: the disk of the repository at {folder} is full" in done.stderr
        in_volume(f"{stack.name}/backup", name, "rm measurements")
        done = run(stack)
        assert done.returncode == 0, done.stderr
        look(stack, folder, "check")
    finally:
        envfile.write(stack.directory / ".env", before)
        stackgen("render", "-C", stack.directory)
        with suppress(subprocess.CalledProcessError):
            subprocess.run(["umount", folder], check=True)
        docker("volume", "rm", name)


def contents(stack: RunningStack) -> dict[Path, bytes]:
    """Every file of the stack directory, but for what the containers of backups note."""
    return {
        path: path.read_bytes()
        for path in stack.directory.rglob("*")
        if path.is_file() and path.parent != stack.directory / ".stackgen/backup"
    }


def test_init_that_fails_changes_nothing(stack: RunningStack, repository: Path, tmp_path: Path) -> None:
    """A folder of something else, one inside the stack's own, somebody else's repository, another one than .env has."""
    held = stack.directory / ".env"
    before = held.read_text()
    without = "".join(line for line in before.splitlines(keepends=True) if not line.startswith("BACKUP_"))
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/cat.jpg").touch()
    compose = (stack.directory / "compose.yaml").read_bytes()
    try:
        for place, code, said in [
            (tmp_path / "photos", 3, "is not empty, and holds no repository"),
            (stack.directory / "backup", 5, "would be backed up into itself"),
            ("/dev/null/backup", 5, "cannot be made"),
            ("backup", 5, "must be an absolute path"),
            (repository, 5, "with another password"),
        ]:
            envfile.write(held, without)
            stackgen("render", "-C", stack.directory)
            files = contents(stack)
            done = stackgen("backup", "init", "--repository", place, "-C", stack.directory)
            assert (done.returncode, said in done.stderr) == (code, True), done.stderr
            assert contents(stack) == files
        assert [path.name for path in (tmp_path / "photos").iterdir()] == ["cat.jpg"]
        assert not (stack.directory / "backup").exists()
    finally:
        envfile.write(held, before)
        stackgen("render", "-C", stack.directory)
    assert (stack.directory / "compose.yaml").read_bytes() == compose
    done = stackgen("backup", "init", "--repository", tmp_path / "other", "-C", stack.directory)
    assert done.returncode == 2
    assert ".env has another BACKUP_REPOSITORY already" in done.stderr
