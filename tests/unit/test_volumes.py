"""`stackgen volumes` before it reaches a volume: whose it is, what the container may, what is refused at once."""

import os
import stat
from pathlib import Path
from unittest.mock import Mock

import pytest
from hub_support import HubStandIn, person
from hypothesis import assume, given
from hypothesis import strategies as st
from unit_support import problems, settings

from stackgen import inside, names, removal, transfer, volumes
from stackgen.engine import STACK_LABEL, USER_LABEL, Engine, Volume
from stackgen.errors import StackgenError
from stackgen.people import checked_name
from stackgen.stack import Stack
from tests.conftest import stackgen

DEFAULTS = settings()


@given(st.text(alphabet="abzABZ019.-_@%+éß李雷ﬁ", min_size=1, max_size=40) | st.emails())
def test_a_user_is_led_to_one_volume_and_that_volume_back_to_the_user(given_name: str) -> None:
    """With labels and without: so an older deployment's volumes and new ones are found alike."""
    try:
        name = checked_name(DEFAULTS, given_name)
    except StackgenError:
        assume(False)
    volume = volumes.volume_of(DEFAULTS, given_name)
    assert volume == names.volume_name("jupyterhub-user-", name)
    assert volumes.owner_of(DEFAULTS, Volume(volume, {})) == name
    assert volumes.owner_of(DEFAULTS, Volume(volume, volumes.labels_for(DEFAULTS, name))) == name
    assert volumes.owner_of(DEFAULTS, Volume(volume, {STACK_LABEL: "another", USER_LABEL: name})) is None


@given(st.text(max_size=30))
def test_volumes_of_others_are_nobodys(volume: str) -> None:
    owner = volumes.owner_of(DEFAULTS, Volume(volume, {}))
    assert owner is None or volume == "jupyterhub-user-" + names.escaped(owner)
    assert volumes.owner_of(DEFAULTS, Volume("stackgen-hub-data", {})) is None


def test_the_container_that_works_in_a_volume_may_nothing_else() -> None:
    """No network, no log (an export would fill the disk), a read-only image, and only the capabilities it needs."""
    mounts = {"/source": "one", "/volume": "two"}
    argv = inside.argv("stackgen/hub", mounts, "import", "--copy", read_only=["/source"], may=inside.WRITE)
    assert argv == [
        "docker", "run", "--rm", "--interactive", "--pull=never", "--network=none", "--log-driver=none",
        "--read-only", "--cap-drop=ALL", "--cap-add=CHOWN", "--cap-add=DAC_OVERRIDE", "--cap-add=FOWNER",
        "--cap-add=FSETID", "--security-opt=no-new-privileges", "--entrypoint=tini",
        "--mount", "type=volume,src=one,dst=/source,volume-nocopy,readonly",
        "--mount", "type=volume,src=two,dst=/volume,volume-nocopy",
        "stackgen/hub", "--", "python", "-I", "-m", "stackgen_hub.volume", "import", "--copy",
    ]  # fmt: skip
    assert "--cap-add=DAC_OVERRIDE" not in inside.argv("stackgen/hub", mounts, "export")


def test_an_export_has_its_name_when_it_is_complete_and_overwrites_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "bob.tar"
    with transfer.new_file(target) as file:
        file.write(b"a tar")
        assert not target.exists()
    assert (target.read_bytes(), stat.S_IMODE(target.stat().st_mode)) == (b"a tar", 0o600)
    with pytest.raises(StackgenError, match="is there already"), transfer.new_file(target):
        pass
    with pytest.raises(KeyboardInterrupt), transfer.new_file(tmp_path / "eve.tar"):
        raise KeyboardInterrupt
    # somebody else has made the file meanwhile
    with pytest.raises(StackgenError, match="is there already"), transfer.new_file(tmp_path / "eve.tar"):
        (tmp_path / "eve.tar").write_text("precious")
    assert (tmp_path / "eve.tar").read_text() == "precious"
    # a stick that knows no links
    monkeypatch.setattr(os, "link", Mock(side_effect=PermissionError(1, "Operation not permitted")))
    with transfer.new_file(tmp_path / "stick.tar") as file:
        file.write(b"a tar")
    assert (tmp_path / "stick.tar").read_bytes() == b"a tar"
    assert {path.name for path in tmp_path.iterdir()} == {"bob.tar", "eve.tar", "stick.tar"}


def test_prune_does_not_take_a_hub_that_is_silent_or_new_for_one_whose_users_are_all_gone(hub: HubStandIn) -> None:
    done = hub.stackgen("volumes", "prune", "--remove", "--yes")
    assert done.returncode == 1
    assert problems(done.stderr) == [
        ("the hub knows nobody, so every user would seem gone", "see: stackgen users list")
    ]
    hub.people = {"bob": person("bob")}
    hub.shutdown()
    hub.server_close()
    done = hub.stackgen("volumes", "prune", "--remove", "--yes")
    assert done.returncode == 1
    assert "the hub does not answer" in done.stderr


def test_where_backups_are_set_up_the_last_backup_is_a_run_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And if it fails, that is the end of it: nothing has been destroyed."""
    asked = []

    def run(stack: Stack, engine: Engine) -> None:
        asked.append((stack.directory, engine))
        raise StackgenError("the repository is full")

    stack, engine = Stack(tmp_path), Engine()
    monkeypatch.setitem(vars(stack), "settings", {"BACKUP_REPOSITORY": "/backups"})
    monkeypatch.setattr(removal.backups, "run", run)
    with pytest.raises(StackgenError, match="the repository is full"):
        removal.last_backup(stack, engine, ["jupyterhub-user-bob"])
    assert asked == [(tmp_path, engine)]
    removal.last_backup(stack, engine, [])
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["volumes", "adopt", "old-volume"], "a volume to copy needs --user"),
        (["volumes", "adopt", "--user", "bob"], "a volume to copy needs --user"),
        (["volumes", "import", "a/b", "x.tar"], "the user name 'a/b' must not contain"),
        (["volumes", "import", "bob", "x.tar"], "x.tar: No such file or directory"),
        (["publish"], "name a folder, or --remove"),
        (["publish", ".", "--remove"], "name a folder, or --remove"),
        (["publish", "--remove"], "nobody can be asked here, and the folder shared and all in it"),
        (["publish", "nowhere"], "nowhere is no folder"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_asked(
    hub: HubStandIn, arguments: list[str], message: str
) -> None:
    done = hub.stackgen(*arguments)
    assert done.returncode in (1, 2)
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert hub.asked == []


def test_a_quota_is_a_size_with_a_unit(tmp_path: Path) -> None:
    assert volumes.quota(settings(VOLUME_QUOTA="1.5G")) == 3 * 2**29
    assert volumes.quota(settings()) == 0
    for wrong in ("5", "5 GB", "-1G", "G"):
        done = stackgen("init", tmp_path / "stack", "--set", f"VOLUME_QUOTA={wrong}")
        assert done.returncode == 5
        assert "VOLUME_QUOTA" in done.stderr
