"""Files out of users' volumes and into them, and the end of volumes: with the real engine, and nothing is ever lost."""

import json
import signal
import stat
import subprocess
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from volume_support import HARD_CASES, exists, in_volume, look, volume_of, volumes

from stackgen import removal
from stackgen.engine import Engine
from stackgen.smoke import Browser
from stackgen.stack import Stack
from tests.conftest import STACKGEN, RunningStack, docker, stackgen


@pytest.fixture(scope="module")
def home(stack: RunningStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The tar that dora takes home: all hard cases, out of a volume that her server has made."""
    volume = volume_of(stack, "dora")
    docker("volume", "create", "--label", f"stackgen.stack={stack.name}", "--label", "stackgen.user=dora", volume)
    in_volume(stack, volume, HARD_CASES, user="1000")
    tar = tmp_path_factory.mktemp("home") / "dora.tar"
    volumes(stack, "export", "dora", tar)
    yield tar
    docker("volume", "rm", volume)


def test_what_is_taken_home_comes_back_byte_by_byte_and_mode_by_mode(stack: RunningStack, home: Path) -> None:
    """Into a volume that there was not; again it changes nothing; and what has changed there is not overwritten."""
    assert stat.S_IMODE(home.stat().st_mode) == 0o600
    assert home.stat().st_size < 8_000_000, "a hole takes no room"
    volume, original = volume_of(stack, "doras-new"), look(stack, volume_of(stack, "dora"))
    assert len(original) > 30
    try:
        refused = volumes(stack, "import", "doras-new", home, code=1).stderr
        assert "error: outside -> /usr/bin/python3" in refused
        assert "inside ->" not in refused
        assert not exists(volume)
        volumes(stack, "import", "doras-new", home, "--links-out")
        assert look(stack, volume) == original
        label = docker("volume", "inspect", volume, "--format", '{{index .Labels "stackgen.user"}}')
        assert label == "doras-new"
        assert int(in_volume(stack, volume, "stat -c %b sparse")) * 512 < 1_000_000
        again = volumes(stack, "import", "doras-new", home, "--links-out")
        assert "new: 0, replaced: 0" in again.stderr
        in_volume(stack, volume, "echo mine > big; echo mine > extra", user="1000")
        before = look(stack, volume)
        refused = volumes(stack, "import", "doras-new", home, "--links-out", code=3).stderr
        assert "error: big\n" in refused
        assert look(stack, volume) == before
        assert "replaced big" in volumes(stack, "import", "doras-new", home, "--links-out", "--replace").stderr
        assert set(look(stack, volume)) > set(original)
    finally:
        docker("volume", "rm", volume)


def test_a_server_writes_to_what_was_imported_before_it_ever_ran(stack: RunningStack, tmp_path: Path) -> None:
    """The new volume is the user's, although no server has prepared it."""
    (tmp_path / "notes.txt").write_text("from home")
    with tarfile.open(tmp_path / "notes.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "notes.txt", "notes.txt")
    volumes(stack, "import", "homecomer", tmp_path / "notes.tar.gz")
    assert in_volume(stack, volume_of(stack, "homecomer"), "cat notes.txt; touch more; id -u", user="1000") == (
        "from home1000\n"
    )
    docker("volume", "rm", volume_of(stack, "homecomer"))


def test_a_copy_comes_into_a_folder_of_its_own_and_the_original_stays(stack: RunningStack, home: Path) -> None:
    assert home.exists()
    volume, original = volume_of(stack, "copyist"), look(stack, volume_of(stack, "dora"))
    try:
        volumes(stack, "copy", "dora", "copyist")
        in_volume(stack, volume, "mv from-dora/* .; rmdir from-dora")
        assert look(stack, volume) == original
        assert look(stack, volume_of(stack, "dora")) == original
        assert "would be copied into itself" in volumes(stack, "copy", "dora", "dora", code=2).stderr
    finally:
        docker("volume", "rm", volume)


def test_an_import_or_export_that_is_interrupted_leaves_nothing_behind(stack: RunningStack, tmp_path: Path) -> None:
    """Killed outright, so that nothing of it could tidy up: the container ends, and the next import clears away."""
    volume = volume_of(stack, "interrupted")
    docker("volume", "create", volume)
    in_volume(stack, volume, "echo precious > thesis; mkfifo pipe")
    with tarfile.open(tmp_path / "half.tar", "w") as archive:
        (tmp_path / "large").write_bytes(bytes(20_000_000))
        archive.add(tmp_path / "large", "large")
    half = (tmp_path / "half.tar").read_bytes()[:10_000_000]
    command = [STACKGEN, "volumes", "import", "interrupted", "-", "-C", str(stack.directory)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdin
        process.stdin.write(half)
        process.stdin.flush()
        process.send_signal(signal.SIGKILL)
    while working_in(volume):
        time.sleep(0.1)
    volumes(stack, "import", "interrupted", tmp_path / "half.tar", code=0)
    assert in_volume(stack, volume, "ls -A; cat thesis").split() == ["large", "pipe", "thesis", "precious"]
    (tmp_path / "short.tar").write_bytes(half)
    assert "cannot be read to its end" in volumes(stack, "import", "interrupted", tmp_path / "short.tar", code=1).stderr
    docker("volume", "rm", volume)


def working_in(volume: str) -> str:
    """The containers that run on a volume."""
    return docker("ps", "--quiet", "--filter", f"volume={volume}")


def test_a_volume_that_is_full_takes_nothing_and_its_user_is_told(stack: RunningStack, tmp_path: Path) -> None:
    """A small file system stands for a project quota, which not every kernel has: to a volume they look the same."""
    volume = volume_of(stack, "tight")
    small = ["--opt", "type=tmpfs", "--opt", "device=tmpfs", "--opt", "o=size=4m,uid=1000"]
    docker("volume", "create", *small, volume)
    mount = f"{volume}:/home/sage/notebooks"
    server = docker("run", "--detach", "--network=none", "--volume", mount, f"{stack.name}/sage", "sleep", "600")
    try:
        docker("exec", server, "sh", "-c", "head -c 3900k /dev/zero > mine")
        (tmp_path / "large").write_bytes(bytes(2_000_000))
        with tarfile.open(tmp_path / "large.tar", "w") as archive:
            archive.add(tmp_path / "large", "large")
        assert (
            "there is no room left in the volume"
            in volumes(stack, "import", "tight", tmp_path / "large.tar", code=1).stderr
        )
        assert docker("exec", server, "ls", "-A") == "mine"
        code = (
            "import asyncio, pathlib, stackgen_server.quota as q;"
            "print(asyncio.run(q.Volume(pathlib.Path.cwd(), 2**22).warning()))"
        )
        assert "take up 4 MB of 4 MB" in docker("exec", server, "python", "-P", "-c", code)
    finally:
        docker("rm", "--force", server)
        docker("volume", "rm", volume)


def test_a_volume_is_destroyed_only_after_a_last_copy_and_never_under_a_server(
    stack: RunningStack, tmp_path: Path
) -> None:
    password, volume = stack.user("parting"), volume_of(stack, "parting")
    browser = Browser(stack.front, "parting")
    browser.sign_in(password)
    browser.start_server()
    assert f"runs on the volume {volume}" in volumes(stack, "remove", "parting", "--yes", code=3).stderr
    shown = json.loads(volumes(stack, "show", "parting", "--json").stdout)
    assert shown["labels"] == {"stackgen.stack": stack.name, "stackgen.user": "parting"}
    assert (shown["running"], shown["known"], shown["foreign"]) == (True, True, 0)
    assert shown["files"] >= 1
    browser.hub_api("DELETE", "/users/parting/server")
    while working_in(volume):
        time.sleep(0.1)
    assert "nobody can be asked here" in volumes(stack, "remove", "parting", code=2).stderr
    original = look(stack, volume)
    said = volumes(stack, "remove", "parting", "--yes").stderr
    assert not exists(volume)
    [copy] = (stack.directory / ".stackgen/removed").glob(f"{volume}-*.tar")
    assert str(copy) in said
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    volumes(stack, "import", "parting", copy)
    assert look(stack, volume) == original
    # with the user goes the volume, and a last copy is made once more
    copy.unlink()
    done = stackgen("users", "remove", "parting", "--volume", "--yes", "-C", stack.directory)
    assert done.returncode == 0, done.stderr
    assert not exists(volume)
    assert list(copy.parent.glob(f"{volume}-*.tar"))


def test_prune_shows_whose_users_are_gone_and_removes_them_only_if_told_to(stack: RunningStack) -> None:
    """Not those without a label: their users may not have come yet."""
    stack.user("staying")
    for name in ("staying", "gone"):
        labels = ["--label", f"stackgen.stack={stack.name}", "--label", f"stackgen.user={name}"]
        docker("volume", "create", *labels, volume_of(stack, name))
    docker("volume", "create", volume_of(stack, "coming"))
    shown = volumes(stack, "prune")
    assert "nothing was removed" in shown.stderr
    assert {"gone", "coming"} <= {line.split()[0] for line in shown.stdout.splitlines()}
    assert "staying" not in shown.stdout
    engine = Engine()
    ours = [item for item in removal.orphans(stack.settings, engine) if item.owner in ("gone", "coming")]
    removal.prune(Stack(stack.directory), engine, ours, yes=True, backup=False)  # not what other tests have left
    assert [exists(volume_of(stack, name)) for name in ("staying", "gone", "coming")] == [True, False, True]
    for name in ("staying", "coming"):
        docker("volume", "rm", volume_of(stack, name))
