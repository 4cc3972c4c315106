"""A repository is proved, or found to be damaged: then what is lost, what is not, and what mends it."""

import json
import os
import shlex
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from acme_support import eventually
from repository_support import backup, init, repository, volume_of

from stackgen import envfile
from tests.conftest import STACKGEN, RunningStack, docker, log_of, stackgen

SERVICE = "label=com.docker.compose.service=backup"


@pytest.fixture(scope="module")
def kept(stack: RunningStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A repository with one snapshot of the stack, in which bob has a volume."""
    folder = tmp_path_factory.mktemp("backups") / "repository"
    with repository(stack), volume_of(stack, "bob"):
        code, said = init(stack, {"BACKUP_REPOSITORY": str(folder)})
        assert code == 0, said
        backup(stack, "run")
        yield folder


@pytest.fixture
def place(kept: Path, tmp_path: Path) -> Iterator[Path]:
    """The same, and whatever a test does to it is undone."""
    shutil.copytree(kept, tmp_path / "copy")
    yield kept
    for entry in kept.iterdir():  # the folder itself stays: it is what is mounted
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    shutil.copytree(tmp_path / "copy", kept, dirs_exist_ok=True)


def flip_a_bit(file: Path) -> None:
    """As a disk or memory does it that nobody has noticed yet."""
    content = bytearray(file.read_bytes())
    content[len(content) // 3] ^= 1
    file.chmod(0o600)
    file.write_bytes(content)


def follow(stack: RunningStack, advice: list[str]) -> None:
    """Type every command that is advised, in the stack directory."""
    for line in advice:
        command = line.rpartition(": ")[2]
        if command.startswith("docker compose "):
            stack.compose(*shlex.split(command)[2:])
        elif command == "stackgen backup run":
            backup(stack, "run")


def test_a_sound_repository_is_restored_for_trial(stack: RunningStack, place: Path) -> None:
    done = stackgen("backup", "check", "--read-data", "--restore", "-C", stack.directory)
    assert done.returncode == 0, done.stderr
    assert "the repository is sound\n" in done.stderr
    rows = {line.split()[0]: line for line in done.stdout.splitlines()}
    assert rows["bob"].split()[2] == "4"
    assert rows["bob"].endswith("restored")
    report, _ = backup(stack, "check", "--restore")
    assert {part["name"] for part in report["restored"]} >= {"database", "stack directory", f"{stack.name}-hub-data"}
    assert all(part["problems"] == [] for part in report["restored"])
    # `docker compose` alone can do it, too
    assert json.loads(stack.compose("run", "--rm", "-T", "backup", "check"))["errors"] == []


def test_a_file_that_was_damaged_is_named_and_all_else_comes_back(stack: RunningStack, place: Path) -> None:
    pack = max((place / "data").rglob("*"), key=lambda path: path.stat().st_size if path.is_file() else 0)
    flip_a_bit(pack)
    report, _ = backup(stack, "check")  # what the repository says of itself is whole
    assert report["errors"] == []
    report, said = backup(stack, "check", "--read-data", "--restore", code=1)
    assert f"error: a file of the repository is damaged: data/{pack.parent.name}/{pack.name[:10]}..." in said
    # which files need that piece is told beforehand, and no others are lost
    lost = [
        part["path"] + problem.partition(" cannot be restored: ")[0]
        for part in report["restored"]
        for problem in part["problems"]
        if " cannot be restored: " in problem
    ]
    assert report["damaged"]
    assert sorted(lost) == report["damaged"]
    # they are still on this machine, so following the advice brings even the old snapshot in order
    follow(stack, report["advice"])
    report, _ = backup(stack, "check", "--read-data", "--restore")
    assert report["damaged"] == []


def test_a_damaged_index_is_made_anew(stack: RunningStack, place: Path) -> None:
    flip_a_bit(next((place / "index").iterdir()))
    report, said = backup(stack, "check", code=1)
    assert "error: an index of the repository is damaged" in said
    follow(stack, report["advice"])
    backup(stack, "check", "--read-data")


def test_a_damaged_snapshot_takes_no_other_with_it(stack: RunningStack, place: Path) -> None:
    [first] = (place / "snapshots").iterdir()
    made, _ = backup(stack, "run")
    flip_a_bit(first)
    report, said = backup(stack, "check", code=1)
    assert f"error: the snapshot {first.name[:8]} is damaged, and lost; the others do not depend on it" in said
    first.unlink()  # as advised
    assert first.name[:8] in report["advice"][0]
    report, _ = backup(stack, "check", "--restore")
    assert report["errors"] == []
    found, _ = backup(stack, "list")
    assert [snapshot["id"] for snapshot in found] == [made["snapshot"]]


def test_a_damaged_key_and_a_wrong_password_are_told_apart(stack: RunningStack, place: Path) -> None:
    env = stack.directory / ".env"
    before = env.read_text()
    envfile.write(env, envfile.updated(before, {"BACKUP_PASSWORD": "another one"}))
    _, said = backup(stack, "check", code=5)
    assert "error: BACKUP_PASSWORD is not the password of the repository" in said
    envfile.write(env, before)
    flip_a_bit(next((place / "keys").iterdir()))
    _, said = backup(stack, "check", code=1)
    assert "is damaged in its folder keys, or its file config" in said


def test_a_trial_that_is_killed_leaves_nothing(stack: RunningStack, place: Path) -> None:
    ours = ("--filter", SERVICE, "--filter", f"label=com.docker.compose.project={stack.name}")
    with subprocess.Popen(
        [STACKGEN, "backup", "check", "--restore", "-C", stack.directory], start_new_session=True
    ) as process:
        eventually(lambda: docker("ps", "-q", *ours), lambda: "no container")
        mounts = json.loads(docker("inspect", "--format", "{{json .Mounts}}", *docker("ps", "-q", *ours).split()))
        os.killpg(process.pid, signal.SIGKILL)
    [scratch] = [mount["Name"] for mount in mounts if mount["Destination"] == "/scratch"]
    if running := docker("ps", "-q", *ours):
        docker("stop", "--time", "1", *running.split())
    eventually(lambda: not docker("ps", "-aq", *ours), lambda: docker("ps", "-a", *ours))
    assert docker("volume", "ls", "-q", "--filter", f"name={scratch}") == ""
    backup(stack, "check")


def test_old_snapshots_are_forgotten_by_the_policy(stack: RunningStack, place: Path) -> None:
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    times = [today - timedelta(days=days, hours=-hour) for days in (1, 2) for hour in (1, 2)]
    script = "\n".join(
        f"restic backup --quiet --host {host} --tag stackgen --time '{time:%Y-%m-%d %H:%M:%S}' /etc/hostname"
        for host, time in [*((stack.name, time) for time in times), ("another", times[0])]
    )
    stack.compose("run", "--rm", "-T", "--entrypoint", "sh", "backup", "-ec", script)
    env = stack.directory / ".env"
    before = env.read_text()
    try:
        envfile.write(env, envfile.updated(before, {"BACKUP_KEEP": "daily=2"}))
        planned, _ = backup(stack, "forget", "--dry-run")
        assert [item["time"][:13] for item in planned["remove"]] == [f"{times[i]:%Y-%m-%dT%H}" for i in (0, 3, 2)]
        made, said = backup(stack, "run")  # which forgets, too: of today only the newest is kept
        assert "forgot 4 older snapshots; 2 are kept" in said
        done = stackgen("backup", "forget", "-C", stack.directory)
        rows = [line.split() for line in done.stdout.splitlines()[1:]]
        assert [row[-1] for row in rows] == ["keep", "keep"]
        assert (rows[0][1], rows[1][0]) == (f"{times[1]:%Y-%m-%d}", made["snapshot"][:8])
        shown = stack.compose("run", "--rm", "-T", "backup", "restic", "snapshots", "--json")
        hosts = {snapshot["hostname"] for snapshot in json.loads(shown)}
        assert hosts == {stack.name, "another"}  # what is not this stack's is left alone
    finally:
        envfile.write(env, before)


@pytest.fixture
def service(stack: RunningStack, kept: Path) -> Iterator[Callable[[str], str]]:
    """`service(value)`: brings the stack's own service up with BACKUP_SCHEDULE so, as `up` would; its container."""
    env = stack.directory / ".env"
    before = env.read_text()

    def start(value: str) -> str:
        envfile.write(env, envfile.updated(before, {"BACKUP_SCHEDULE": value}))
        assert stackgen("render", "-C", stack.directory).returncode == 0
        stack.compose("up", "--detach", "--wait", "--no-deps", "backup")
        return stack.compose("ps", "-q", "backup")

    yield start
    stack.compose("rm", "--stop", "--force", "backup")
    envfile.write(env, before)
    assert stackgen("render", "-C", stack.directory).returncode == 0


def test_the_stack_backs_itself_up(stack: RunningStack, place: Path, service: Callable[[str], str]) -> None:
    last = stack.directory / ".stackgen/backup/last.json"
    last.unlink()  # as on a machine that was off when it was time
    container = service("03:30 Asia/Shanghai")
    eventually(last.exists, lambda: log_of(container))
    eventually(lambda: "next backup: " in log_of(container), lambda: log_of(container))
    assert "03:30 CST" in log_of(container)
    assert json.loads(last.read_text())["problems"] == []
    answer = json.loads(stackgen("status", "--json", "-C", stack.directory).stdout)
    assert answer["services"]["backup"] == "healthy"
    assert answer["backup"]["warnings"] == []
    # two days without a backup, and Docker says so
    old = datetime.now(UTC) - timedelta(days=3)
    last.write_text(json.dumps({"complete": old.isoformat(), "problems": [], "repository": str(place)}))
    docker("exec", container, "touch", "--date=3 days ago", "/tmp/started")
    done = subprocess.run(
        ["docker", "exec", container, "python3", "-m", "stackgen_backup", "health"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, f"the last complete backup: {old:%Y-%m-%d %H:%M} UTC\n")
    # another backup may be made by hand meanwhile
    backup(stack, "run")
