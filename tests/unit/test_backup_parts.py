"""The parts of the backup's container that need no engine: what belongs to a stack, and how things are placed."""

import json
import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path, PurePosixPath

import pytest
from backup_package import container  # noqa: F401  # its environment; and the package can be imported
from hypothesis import given
from hypothesis import strategies as st
from stackgen_backup import contents, database, lock, manifest, places, repository, restic, restore, staging
from stackgen_backup.report import CONFLICT, SETTINGS, USAGE, BackupError

from stackgen.names import user_name, volume_name


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The engine's folder of volumes, with that of the hub."""
    folder, state, work = tmp_path / "volumes", tmp_path / "state", tmp_path / "work"
    (folder / "lab-hub-data/_data").mkdir(parents=True)
    state.mkdir()
    monkeypatch.setattr(contents, "VOLUMES", folder)
    monkeypatch.setattr(contents, "STATE", state)
    monkeypatch.setattr(contents, "WORK", work)
    monkeypatch.setattr(contents, "MANIFEST", work / "manifest.json")
    return folder


def test_every_volume_of_the_stack_is_found_and_no_other(engine: Path) -> None:
    """By its name, unless its label says that it is another stack's, or another user's."""
    for name in ("lab-nginx-state", "lab-other", "jupyterhub-user-ada", "jupyterhub-user-b-2eob", "jupyterhub-user-X",
                 "jupyterhub-user-dora", "jupyterhub-user-eve", "postgres"):  # fmt: skip
        (engine / name / "_data").mkdir(parents=True)
    known = {
        "jupyterhub-user-dora": {"driver": "local", "labels": {"stackgen.stack": "other"}},
        "jupyterhub-user-eve": {"driver": "local", "labels": {"stackgen.stack": "lab", "stackgen.user": "eva"}},
    }
    (contents.STATE / "volumes.json").write_text(json.dumps(known))
    found = contents.find()
    assert {name: entry["owner"] for name, entry in found.volumes.items()} == {
        "lab-hub-data": "", "lab-nginx-state": "", "jupyterhub-user-ada": "ada", "jupyterhub-user-b-2eob": "b.ob",
        "jupyterhub-user-eve": "eva",
    }  # fmt: skip
    assert found.problems == []
    assert found.volumes["jupyterhub-user-ada"]["labels"] == {"stackgen.stack": "lab", "stackgen.user": "ada"}
    kept = json.loads(contents.write_manifest(found, {"kind": "sqlite"}).read_text())
    assert (kept["stack"], manifest.volume_of(kept, "b.ob")) == ("lab", "jupyterhub-user-b-2eob")
    assert manifest.volume_of(kept, "dora") == ""


@given(st.text(min_size=1, max_size=20))
def test_the_owner_of_a_volume_is_the_user_whose_name_it_has(name: str) -> None:
    try:
        user = user_name(name)
    except ValueError:
        return
    assert contents.volume_owner("jupyterhub-user-", volume_name("jupyterhub-user-", user)) == user


@pytest.mark.parametrize(
    ("options", "driver", "said"),
    [
        ({"MountType": "nfs", "MountDevice": ":/export", "MountOpts": "addr=10.0.0.7"}, "local", "a mount of :/export"),
        ({"MountType": "", "MountDevice": "", "MountOpts": "", "Quota": {"Size": 10**9}}, "local", ""),
        (None, "local", ""),
        (None, "rclone", "its driver rclone keeps the files elsewhere"),
    ],
)
def test_a_volume_whose_files_are_elsewhere_is_not_taken_for_an_empty_one(
    options: dict[str, object] | None, driver: str, said: str, engine: Path
) -> None:
    name = "jupyterhub-user-ada"
    (engine / name / "_data").mkdir(parents=True)
    if options:
        (engine / name / "opts.json").write_text(json.dumps(options))
    (contents.STATE / "volumes.json").write_text(json.dumps({name: {"driver": driver, "labels": {}}}))
    found = contents.find()
    assert (name in found.volumes) == (not said)
    assert [said in problem for problem in found.problems] == ([True] if said else [])


def test_another_folder_than_the_engines_is_said(engine: Path) -> None:
    (engine / "lab-hub-data/_data").rmdir()
    with pytest.raises(BackupError, match="DOCKER_VOLUMES=/var/lib/docker/volumes is not where") as refused:
        contents.find()
    assert refused.value.exit_code == SETTINGS


def test_the_copy_of_a_database_in_use_is_whole(tmp_path: Path) -> None:
    """Somebody has begun to write: the copy has what was there before, and is sound."""
    live = tmp_path / "jupyterhub.sqlite"
    with closing(sqlite3.connect(live)) as hub:
        hub.execute("CREATE TABLE users (name TEXT)")
        hub.execute("INSERT INTO users VALUES ('ada')")
        hub.commit()
        hub.execute("INSERT INTO users VALUES ('bob')")
        assert database._copy_sqlite(live, tmp_path / "copy") == ""
    with closing(sqlite3.connect(tmp_path / "copy")) as copy:
        assert copy.execute("SELECT name FROM users").fetchall() == [("ada",)]


def test_a_database_that_is_damaged_missing_or_of_another_kind_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = tmp_path / "jupyterhub.sqlite"
    assert "no database yet" in database._copy_sqlite(live, tmp_path / "copy")
    with closing(sqlite3.connect(live)) as hub:
        hub.execute("CREATE TABLE users (name TEXT)")
        hub.executemany("INSERT INTO users VALUES (?)", [("x" * 1000,)] * 100)
        hub.commit()
    with live.open("r+b") as file:
        file.seek(20_000)
        file.write(os.urandom(4096))
    assert "damaged" in database._copy_sqlite(live, tmp_path / "copy")
    for url, said in [("mysql://u:p@db/hub", "of the kind mysql"), ("sqlite:////tmp/hub.sqlite", "not in the hub's")]:
        monkeypatch.setenv("DATABASE_URL", url)
        with pytest.raises(BackupError, match=said) as refused:
            database.kind()
        assert refused.value.exit_code == SETTINGS


def test_the_password_of_postgresql_is_in_no_argument(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql+psycopg://hub:p%40ss@db.example.edu:6432/jupyter")
    arguments, environment = database.postgresql("pg_dump")
    assert "p@ss" not in " ".join(arguments)
    assert environment["PGPASSWORD"] == "p@ss"
    assert [environment[key] for key in ("PGHOST", "PGPORT", "PGUSER", "PGDATABASE")] == [
        "db.example.edu", "6432", "hub", "jupyter",
    ]  # fmt: skip


def stage(root: Path, monkeypatch: pytest.MonkeyPatch, job: str = "a job") -> staging.Stage:
    """The staging folder of a volume that holds `old`, with `new` restored into it."""
    monkeypatch.setattr(staging, "TARGET", root)
    made = staging.Stage("ada", job)
    (made.live / "_data").mkdir(parents=True, exist_ok=True)
    (made.live / "_data/old").touch()
    made.folder.mkdir(exist_ok=True)
    return made


def restored(made: staging.Stage) -> None:
    (made.folder / "_data").mkdir()
    (made.folder / "_data/new").touch()
    made.complete()


def held(made: staging.Stage) -> list[str]:
    return sorted(path.name for path in (made.live / "_data").iterdir())


def test_a_volume_is_the_old_or_the_new_one_wherever_a_restore_is_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = stage(tmp_path, monkeypatch)
    assert not made.settle() and not made.ready  # killed while files came
    restored(made)
    assert not made.settle() and made.ready  # killed before they took their place: they are not restored again
    assert held(made) == ["old"]
    made.exchange()
    assert held(made) == ["new"]
    assert made.settle()  # killed before the old ones were removed
    made.clear()
    assert held(made) == ["new"] and list(made.folder.iterdir()) == []


def test_what_another_restore_left_is_not_taken_for_this_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = stage(tmp_path, monkeypatch, "one snapshot")
    first.settle()
    restored(first)
    other = stage(tmp_path, monkeypatch, "another snapshot")
    assert not other.settle()
    assert not other.ready and not (other.folder / "_data").exists()


def test_no_link_of_a_user_leads_a_file_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere").mkdir()
    made = stage(tmp_path, monkeypatch)
    made.settle()
    restored(made)
    (made.folder / "_data/notebooks").mkdir()
    (made.folder / "_data/notebooks/x").touch()
    (made.live / "_data/notebooks").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BackupError, match="notebooks in the volume is no folder any more") as refused:
        made.replace(PurePosixPath("notebooks/x"))
    assert refused.value.exit_code == CONFLICT
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_path_out_of_the_volume_is_refused() -> None:
    with pytest.raises(BackupError, match=r"--path notebooks/\.\./\.\./x") as refused:
        restore.volume("0a1b", "jupyterhub-user-ada", "notebooks/../../x", beside="", prepare=False)
    assert refused.value.exit_code == USAGE


def test_an_interrupted_init_is_begun_anew_and_nothing_else_is_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repository, "REPOSITORY", tmp_path)
    for folder in ("data", "index", "keys", "locks", "snapshots", "lost+found"):
        (tmp_path / folder).mkdir()
    (tmp_path / "keys/ab12").touch()
    repository._check_empty()
    assert list((tmp_path / "keys").iterdir()) == []
    (tmp_path / "data/ab").mkdir()
    (tmp_path / "data/ab/ab12").touch()  # a repository that has lost its config
    with pytest.raises(BackupError, match="is not empty, and holds no repository"):
        repository._check_empty()


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=30))
def test_a_path_is_a_pattern_that_matches_itself_alone(path: str) -> None:
    """As Go's filepath.Match reads it, in which a backslash takes the meaning from what follows."""
    pattern = restore._literal(path)
    plain, rest = "", iter(pattern)
    for character in rest:
        assert character not in "*?["
        plain += next(rest) if character == "\\" else character
    assert plain == path


def test_a_lock_is_taken_away_only_if_this_stack_on_this_machine_left_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy of the stack may be at work on another machine, with the same name and in the same repository."""
    monkeypatch.setattr(lock, "STATE", tmp_path)
    monkeypatch.setattr(lock, "HOSTS", tmp_path / "hosts")
    asked = []
    monkeypatch.setattr(restic, "attempt", lambda *arguments: asked.append(arguments) or (0, "", ""))
    here = os.uname().nodename
    monkeypatch.setattr(restic, "locks", lambda: {"a": {"hostname": here}})
    with lock.held():
        pass  # it has ended by itself, and this is another container's
    restic.remove_own_locks()
    assert asked == [("unlock",)]
    with suppress(KeyboardInterrupt), lock.held():
        raise KeyboardInterrupt
    assert lock.hosts() == [here]
    monkeypatch.setattr(restic, "locks", lambda: {"a": {"hostname": here}, "b": {"hostname": "elsewhere"}})
    restic.remove_own_locks()
    assert asked[1:] == [("unlock",)]
    monkeypatch.setattr(restic, "locks", lambda: {"a": {"hostname": here}})
    restic.remove_own_locks()
    assert asked[2:] == [("unlock", "--remove-all")]


def test_what_restic_says_is_put_into_words_that_name_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restic, "locks", lambda: {"a": {"hostname": "elsewhere", "time": "2026-11-24T23:00:00Z"}})
    for code, said, exit_code in [
        (10, "there is no repository at BACKUP_REPOSITORY=/srv/backup", 1),
        (11, "locked by elsewhere since 2026-11-24T23:00", 3),
        (12, "BACKUP_PASSWORD is not the password", 5),
    ]:
        error = restic.failure(code, "")
        assert (said in str(error), error.exit_code) == (True, exit_code)
    assert "is full" in str(restic.failure(1, "write /repository/data: no space left on device"))
    assert restic.message_of(['{"message_type":"exit_error","code":1,"message":"Fatal: it is so"}']) == "it is so"


def test_snapshots_and_their_paths_are_as_they_were_in_the_first_release() -> None:
    """Whoever changes one of these can no longer restore what was backed up before."""
    kept = {name: str(getattr(places, name)) for name in ("VOLUMES", "STACK", "OPERATOR", "WORK", "MANIFEST")}
    assert kept == {
        "VOLUMES": "/volumes", "STACK": "/stack", "OPERATOR": "/operator", "WORK": "/stackgen",
        "MANIFEST": "/stackgen/manifest.json",
    }  # fmt: skip
