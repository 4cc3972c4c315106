"""A tar comes into a volume as a whole or not at all, and whatever is in it, it stays in the volume."""

import io
import os
import stat
import tarfile
from pathlib import Path
from typing import Any

import hub_package  # noqa: F401  # finds the hub's own package
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from stackgen_hub import shared, unpack, volume
from stackgen_hub.unpack import Refused

SYMLINK, LINK, FILE, FOLDER, DEVICE = (
    tarfile.SYMTYPE,
    tarfile.LNKTYPE,
    tarfile.REGTYPE,
    tarfile.DIRTYPE,
    tarfile.CHRTYPE,
)

part = st.sampled_from(["a", "b", "c", "..", ".", "", "/", "secret", "outside"])
path = st.lists(part, min_size=1, max_size=4).map("/".join)
entry = st.tuples(st.sampled_from([SYMLINK, LINK, FILE, FILE, FOLDER, DEVICE]), path, path)


@pytest.fixture(autouse=True)
def _mine(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests own what they unpack."""
    monkeypatch.setattr(unpack, "UID", os.getuid())
    monkeypatch.setattr(shared, "UID", os.getuid())


def tar_of(*entries: tuple[bytes, str, str]) -> bytes:
    """A tar of these entries, as no honest program writes it: type, name, and target of a link or contents."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for kind, name, content in entries:
            info = tarfile.TarInfo(name)
            info.type, info.mode = kind, 0o755 if kind == FOLDER else 0o644
            info.linkname = content if kind in (SYMLINK, LINK) else ""
            info.size = len(content.encode()) if kind == FILE else 0
            archive.addfile(info, io.BytesIO(content.encode()))
    return stream.getvalue()


def take(tar: bytes, folder: Path, into: str = ".", *, replace: bool = False, links_out: bool = False) -> unpack.Merge:
    """What `import` does in the container."""
    with unpack.staging(folder) as staged:
        unpack.unpack(io.BytesIO(tar), staged, links_out=links_out)
        return unpack.settle(staged, unpack.folder_in(folder, into), replace=replace)


def seen(folder: Path) -> dict[str, Any]:
    """Every path below a folder with its kind and contents."""
    found: dict[str, Any] = {}
    for item in folder.rglob("*"):
        mode = item.lstat().st_mode
        content = item.readlink() if item.is_symlink() else item.read_bytes() if stat.S_ISREG(mode) else None
        found[str(item.relative_to(folder))] = (stat.filemode(mode), content)
    return found


@given(st.lists(entry, max_size=6), st.booleans())
@example([(SYMLINK, "a", "../outside"), (FILE, "a/secret", "written through the link")], True)
@example([(SYMLINK, "a", "/"), (FOLDER, "a/b", "")], True)
@example([(FOLDER, "a", ""), (SYMLINK, "a/b", ".."), (SYMLINK, "c", "a/b/../outside/secret")], False)
@example([(LINK, "a", "../outside/secret"), (FILE, "a", "written into the file")], True)
@example([(SYMLINK, "a", "../outside/secret"), (LINK, "b", "a"), (FILE, "b", "x")], True)
@example([(SYMLINK, "a", "../outside/secret"), (FILE, "a", "x")], True)
def test_nothing_in_a_tar_leaves_the_volume(
    tmp_path_factory: pytest.TempPathFactory, entries: list[tuple[bytes, str, str]], links_out: bool
) -> None:
    """Whatever the names, the links and their order: taken whole, without links out unless wished, or not at all."""
    place = tmp_path_factory.mktemp("place")
    home, outside = place / "volume", place / "outside"
    home.mkdir()
    outside.mkdir()
    (outside / "secret").write_text("secret")
    try:
        take(tar_of(*entries), home, links_out=links_out)
    except Refused:
        assert list(home.iterdir()) == []
    assert seen(outside) == {"secret": ("-rw-r--r--", b"secret")}
    assert {path.name for path in place.iterdir()} == {"volume", "outside"}
    for item in home.rglob("*"):
        if item.is_symlink() and not links_out:
            assert os.path.realpath(item).startswith((str(home), unpack.MOUNT))
        elif not item.is_symlink():
            assert item.lstat().st_mode & (stat.S_IFREG | stat.S_IFDIR)
            assert not (item.is_file() and item.samefile(outside / "secret"))


@given(st.integers(min_value=0))
def test_a_tar_that_breaks_off_anywhere_changes_nothing(tmp_path_factory: pytest.TempPathFactory, where: int) -> None:
    home = tmp_path_factory.mktemp("volume")
    (home / "old").write_text("old")
    whole = tar_of((FOLDER, "a", ""), (FILE, "a/b", "x" * 700), (SYMLINK, "a/l", "b"), (FILE, "c", "y"))
    end = 512 * (1 + 1 + 2 + 1 + 1 + 1)  # of the last file; the end is marked after that
    with pytest.raises(Refused, match="cannot be read to its end"):
        take(whole[: where % (end + 512)], home)
    assert seen(home) == {"old": ("-rw-r--r--", b"old")}


def test_what_is_there_is_not_overwritten_unless_asked_for_and_never_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/same").write_text("same")
    (tmp_path / "a/other").write_text("mine")
    (tmp_path / "a/only-here").write_text("mine")
    tar = tar_of((FILE, "a/same", "same"), (FILE, "a/other", "theirs"), (FILE, "a/new/deep", "theirs"))
    before = seen(tmp_path)
    with pytest.raises(Refused, match="with other contents") as refused:
        take(tar, tmp_path)
    assert refused.value.data["details"] == ["a/other"]
    assert refused.value.data["conflict"]
    assert seen(tmp_path) == before
    merge = take(tar, tmp_path, replace=True)
    assert (merge.new, merge.same, merge.other) == (["a/new"], ["a/same"], ["a/other"])
    assert {name: (tmp_path / "a" / name).read_text() for name in ("other", "only-here", "new/deep")} == {
        "other": "theirs", "only-here": "mine", "new/deep": "theirs",
    }  # fmt: skip
    for clash in (tar_of((FILE, "a", "a file")), tar_of((FILE, "a/other/file", "in a folder"))):
        with pytest.raises(Refused, match="folders here and files there"):
            take(clash, tmp_path, replace=True)
    assert take(tar, tmp_path, "from-bob").new == ["a"]
    assert (tmp_path / "from-bob/a/same").read_text() == "same"


@pytest.mark.parametrize("into", ["..", "a/../../b", "/etc", "link", "file", ".stackgen-import-x"])
def test_a_folder_to_import_into_is_one_of_the_volume(tmp_path: Path, into: str) -> None:
    home = tmp_path / "volume"
    home.mkdir()
    (home / "link").symlink_to(tmp_path)
    (home / "file").touch()
    with pytest.raises(Refused, match="is no folder of the volume"):
        take(tar_of((FILE, "new", "x")), home, into)
    assert {path.name for path in home.iterdir()} == {"link", "file"}


def test_two_imports_do_not_meet_and_a_killed_one_is_cleared_away(tmp_path: Path) -> None:
    left = tmp_path / f"{unpack.STAGING}killed"
    (left / "half").mkdir(parents=True)
    with unpack.staging(tmp_path):
        assert not left.exists()
        with pytest.raises(Refused, match="something else is being unpacked"), unpack.staging(tmp_path):
            pass
    assert list(tmp_path.iterdir()) == []


def test_what_is_published_comes_as_a_whole_and_an_admins_changes_are_not_lost(tmp_path: Path) -> None:
    first = io.BytesIO(tar_of((FILE, "week1/a", "1"), (FILE, "b", "1"), (FILE, "old", "1")))
    assert shared.publish(tmp_path, first, replace=False, delete=False)["new"] == ["b", "old", "week1"]
    second = tar_of((FILE, "week1/a", "2"), (FILE, "b", "1"))
    (tmp_path / "week1/mine").write_text("an admin's")
    before = seen(tmp_path)
    with pytest.raises(Refused, match="admins have changed") as refused:
        shared.publish(tmp_path, io.BytesIO(second), replace=False, delete=False)
    assert refused.value.data["details"] == ["week1/mine"]
    assert seen(tmp_path) == before
    with (tmp_path / "week1/a").open() as reader:  # a kernel that reads it meanwhile
        done = shared.publish(tmp_path, io.BytesIO(second), replace=True, delete=False)
        assert reader.read() == "1"
    assert (done["replaced"], done["same"], done["kept"]) == (["week1"], ["b"], ["old"])
    assert {path.name for path in (tmp_path / "week1").iterdir()} == {"a"}
    assert shared.publish(tmp_path, io.BytesIO(second), replace=False, delete=True)["removed"] == ["old"]
    shared.clear(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_only_what_would_be_hidden_is_in_the_way_of_the_shared_folder(tmp_path: Path) -> None:
    assert not volume.holds(tmp_path, "shared")
    (tmp_path / "shared").mkdir()
    assert not volume.holds(tmp_path, "shared"), "the engine makes an empty folder to mount on"
    (tmp_path / "shared/mine").touch()
    assert volume.holds(tmp_path, "shared")
    (tmp_path / "link").symlink_to("nowhere")
    assert volume.holds(tmp_path, "link")
