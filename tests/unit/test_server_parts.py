"""What a user's server knows of its memory, how it greets, and what it puts off: the parts that need no Jupyter."""

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from unit_support import ROOT

sys.path.insert(0, str(ROOT / "images/sage"))

from stackgen_server import memory, quota, texts, welcome

MB = 2**20


@pytest.fixture(params=["v1", "v2"])
def cgroup(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The control group of a container that holds 300 MB, 120 of them copies of files, and has seen two processes die.

    The lines are those that the kernel writes into these files, in cgroup v1 and in v2.
    """
    if request.param == "v1":
        folder = tmp_path / "memory"
        folder.mkdir()
        usage, events = "memory.usage_in_bytes", "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n"
        # in v1 the figures without total_ leave out what groups below this one hold
        stat = f"cache 7\nactive_file 7\ninactive_file 7\ntotal_active_file {20 * MB}\ntotal_inactive_file {100 * MB}\n"
        (folder / "memory.oom_control").write_text(events)
    else:
        folder, usage = tmp_path, "memory.current"
        stat = f"anon {170 * MB}\nfile {125 * MB}\ninactive_file {100 * MB}\nactive_file {20 * MB}\n"
        (folder / "memory.events").write_text("low 0\nhigh 0\nmax 31\noom 5\noom_kill 2\noom_group_kill 0\n")
    (folder / usage).write_text(f"{300 * MB}\n")
    (folder / "memory.stat").write_text(stat)
    monkeypatch.setattr(memory, "V1", tmp_path / "memory")
    monkeypatch.setattr(memory, "V2", tmp_path)
    return folder


@pytest.mark.usefixtures("cgroup")
def test_copies_of_files_are_no_use_of_memory() -> None:
    """A user who has read a large file has not come closer to the limit: the kernel gives such memory back."""
    assert memory.used() == 180 * MB


@pytest.mark.usefixtures("cgroup")
def test_processes_that_died_for_lack_of_memory_are_counted() -> None:
    assert memory.oom_kills() == 2


def test_a_machine_that_keeps_no_account_of_memory_is_no_obstacle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Raspberry Pi as it comes: nothing is ever killed for a limit, and there is nothing to indicate."""
    monkeypatch.setattr(memory, "V1", tmp_path / "memory")
    monkeypatch.setattr(memory, "V2", tmp_path)
    assert memory.oom_kills() == 0
    with pytest.raises(OSError, match=r"memory\.stat"):
        memory.used()


def test_a_process_that_was_killed_is_known_before_it_is_gone() -> None:
    """What holds much memory ends slowly; until it has, nobody else may be told that the memory was theirs."""
    with subprocess.Popen(["sleep", "60"]) as process:
        assert not memory.is_exiting(process.pid)
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert memory.is_exiting(process.pid)
    assert memory.is_exiting(process.pid)


def test_every_text_exists_in_every_language_of_a_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    """And each names what it is about."""
    about = {what: {"used", "quota"} for what in ("above quota", "nearly full")}
    for language, of_language in texts.TEXTS.items():
        monkeypatch.setenv("STACKGEN_LANGUAGE", language)
        for what, template in of_language.items():
            assert set(re.findall(r"{(\w+)}", template)) == about.get(what, {"kernel", "limit"})
            said = texts.text(what, kernel="SageMath 10.8", limit=500, used="SageMath 10.8", quota="500 MB")
            assert "SageMath 10.8" in said
            assert "500 MB" in said
    assert {language: set(said) for language, said in texts.TEXTS.items()} == {
        language: {"killed", "other", *about} for language in ("en", "zh")
    }


def test_a_user_is_told_when_the_files_exceed_the_quota_and_no_longer_when_they_do_not(tmp_path: Path) -> None:
    """du adds them up, sparse files as what they take up; the folder of course material is not the user's own."""
    volume = quota.Volume(tmp_path, 3 * MB)
    volume.seldom = 0
    (tmp_path / "big").write_bytes(b"x" * 2 * MB)
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(50 * MB)
    assert asyncio.run(volume.warning()) == ""
    (tmp_path / "bigger").write_bytes(b"x" * 2 * MB)
    volume.seldom = 0
    said = asyncio.run(volume.warning())
    assert said.startswith("Your files take up 4 MB; 3 MB are meant for each user. Nothing is stopped")
    (tmp_path / "bigger").unlink()
    assert asyncio.run(volume.warning()) == said, "files are measured seldom"
    volume.seldom = 0
    assert asyncio.run(volume.warning()) == ""
    assert asyncio.run(quota.Volume(tmp_path, 0).warning()) == ""


def test_an_enforced_quota_is_what_the_file_system_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A volume with a project quota seems to be a file system of that size: 4096 blocks of which 200 are free."""
    system = SimpleNamespace(f_blocks=4096, f_frsize=4096, f_bfree=200)
    monkeypatch.setattr(os, "statvfs", lambda _: system)
    said = asyncio.run(quota.Volume(tmp_path, 16 * MB).warning())
    assert said.startswith("Your files take up 15 MB of 16 MB. When there is no room left")
    system.f_bfree = 2000
    assert asyncio.run(quota.Volume(tmp_path, 16 * MB).warning()) == ""


def test_course_material_in_the_notebooks_is_not_counted(tmp_path: Path) -> None:
    mountinfo = tmp_path / "mountinfo"
    line = "693 692 8:1 /volumes/{0}/_data /home/sage/{0} rw,relatime - ext4 /dev/sda1 rw\n"
    mountinfo.write_text("".join(line.format(path) for path in ("notebooks", "notebooks/shared", "notebooks2")))
    assert quota.mounts_below(Path("/home/sage/notebooks"), mountinfo) == ["/home/sage/notebooks/shared"]


@pytest.fixture
def notebooks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The image's welcome notebooks, an English and a Chinese one."""
    for language, name in (("en", "Welcome.ipynb"), ("zh", "欢迎.ipynb")):
        (tmp_path / "welcome" / language).mkdir(parents=True)
        (tmp_path / "welcome" / language / name).write_text(language)
    monkeypatch.setattr(welcome, "WELCOME", tmp_path / "welcome")
    return tmp_path / "welcome"


@pytest.mark.usefixtures("notebooks")
@pytest.mark.parametrize(("language", "name"), [("en", "Welcome.ipynb"), ("zh", "欢迎.ipynb")])
def test_a_new_user_is_welcomed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, language: str, name: str) -> None:
    """In the language of the stack; what the user makes of that notebook stays, and so does its removal."""
    monkeypatch.setenv("STACKGEN_LANGUAGE", language)
    volume = tmp_path / "volume"
    volume.mkdir()
    welcome.welcome(volume)
    assert [path.name for path in volume.iterdir()] == [name]
    (volume / name).write_text("with my own cells")
    welcome.welcome(volume)
    assert (volume / name).read_text() == "with my own cells"
    (volume / name).rename(volume / "mine.ipynb")
    welcome.welcome(volume)
    assert [path.name for path in volume.iterdir()] == ["mine.ipynb"]


@pytest.mark.usefixtures("notebooks")
def test_a_volume_with_settings_alone_is_no_new_users(tmp_path: Path) -> None:
    """Somebody has worked there and removed every notebook."""
    volume = tmp_path / "volume"
    (volume / ".jupyter").mkdir(parents=True)
    welcome.welcome(volume)
    assert [path.name for path in volume.iterdir()] == [".jupyter"]


def test_what_is_put_off_is_there_when_it_is_needed() -> None:
    """The user's half of JupyterHub starts without the hub's database; who does use it gets it, whole."""
    program = """
import sys
from stackgen_server.deferred import deferred

with deferred():
    import jupyterhub.log, jupyterhub.services.auth, requests
loaded = {"sqlalchemy.orm", "alembic", "jupyterhub.handlers.base", "urllib3"} & set(sys.modules)
assert not loaded, loaded
assert requests.Session().headers  # imported before, used now
from sqlalchemy.exc import SQLAlchemyError
from jupyterhub.handlers.pages import HealthCheckHandler
assert issubclass(SQLAlchemyError, Exception) and HealthCheckHandler.get
"""
    subprocess.run([sys.executable, "-c", program], env={"PYTHONPATH": str(ROOT / "images/sage")}, check=True)
