"""Unpacks a tar into a volume: to a staging folder beside what is there, and then into place, without surprises.

A tar may come from anywhere, so nothing in it may leave the volume: no absolute name, no `..`, nothing through a link,
no device. All ends before the volume's own files are touched if one thing is wrong, or if the tar is not complete.
"""

import errno
import fcntl
import filecmp
import os
import shutil
import stat
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

UID = 1000  # of users' servers, in every image that stackgen builds
MOUNT = "/home/sage/notebooks"  # where a user's server has the volume, so that links to there stay in it
STAGING = ".stackgen-import-"


class Refused(Exception):
    """Why nothing was changed, in words for the operator; `details` are the files that it is about."""

    def __init__(
        self, message: str, hint: str = "", details: list[str] | None = None, *, conflict: bool = False
    ) -> None:
        super().__init__(message)
        self.data = {"message": message, "hint": hint, "details": details or [], "conflict": conflict}


class Entry(tarfile.TarInfo):
    """An entry of a tar whose end must be marked: to tarfile one that breaks off between two files is complete."""

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> "Entry":
        """The next entry. Raises ReadError where tarfile would end quietly."""
        try:
            return super().fromtarfile(archive)
        except tarfile.EOFHeaderError:
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(f"unexpected end of data ({error})") from None


@contextmanager
def staging(volume: Path) -> Iterator[Path]:
    """A new folder in a volume that nobody else unpacks into meanwhile; it is gone afterwards.

    What an import that was killed has left is removed first.
    """
    handle = os.open(volume, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Refused("something else is being unpacked into this volume", "wait until that has ended") from None
        for left in volume.glob(f"{STAGING}*"):
            _remove(left)
        folder = Path(tempfile.mkdtemp(prefix=STAGING, dir=volume))
        try:
            yield folder
        finally:
            _remove(folder)
    finally:
        os.close(handle)


def unpack(stream: IO[bytes], folder: Path, *, links_out: bool) -> None:
    """Unpack a tar, compressed or not, into an empty folder; all of it then belongs to users' servers.

    Raises Refused, and leaves what was unpacked so far, for a tar that is damaged or wants to leave the folder.
    """

    def checked(entry: tarfile.TarInfo, _: str) -> tarfile.TarInfo | None:
        return _checked(entry, folder)

    try:
        with tarfile.open(fileobj=stream, mode="r|*", tarinfo=Entry, errorlevel=2) as archive:
            archive.extractall(folder, filter=checked, numeric_owner=True)  # noqa: S202  # each entry is checked
    except (tarfile.TarError, EOFError) as error:
        raise Refused(f"the tar cannot be read to its end: {error}", "get it once more") from None
    except OSError as error:
        raise refusal(error) from None
    outside = []
    for path in _walk(folder):
        if path.is_symlink() and not links_out and not _stays(path, folder):
            outside.append(f"{path.relative_to(folder)} -> {path.readlink()}")
        _give(path)  # a folder that the tar does not name, but has files in, is root's
    if outside:
        raise Refused(
            "the tar has links to places outside of the volume",
            "--links-out keeps them; in the user's server they lead to that server's own files",
            outside,
        )


def _checked(entry: tarfile.TarInfo, folder: Path) -> tarfile.TarInfo | None:
    """The entry as it is to be unpacked, None for the volume itself. Raises Refused for one that would leave it."""
    name = os.path.normpath(entry.name)
    if entry.name.startswith("/") or ".." in entry.name.split("/"):
        raise Refused(f"the tar would leave the volume: {entry.name}")
    if name == "." or name.startswith(STAGING):
        return None
    path = folder / name
    if os.path.realpath(path.parent) != str(path.parent):
        raise Refused(f"the tar would write through a link: {entry.name}")
    if not (entry.isreg() or entry.isdir() or entry.issym() or entry.islnk() or entry.isfifo()):
        raise Refused(f"the tar has a device: {entry.name}")
    linked: dict[str, Any] = {}
    if entry.islnk():
        linked["linkname"] = os.path.normpath(entry.linkname)
        target = folder / linked["linkname"]
        away = entry.linkname.startswith("/") or ".." in entry.linkname.split("/")
        if away or os.path.realpath(target.parent) != str(target.parent):
            raise Refused(f"the tar would leave the volume: {entry.name} is linked to {entry.linkname}")
        if target == path:
            return None
        if not os.path.lexists(target) or stat.S_ISDIR(target.lstat().st_mode):
            raise Refused(f"the tar links {entry.name} to {entry.linkname}, which it does not have before")
    if os.path.lexists(path) and not (entry.isdir() and path.is_dir() and not path.is_symlink()):
        if path.is_dir() and not path.is_symlink():
            raise Refused(f"the tar has a folder and a file of one name: {entry.name}")
        path.unlink()  # as tar does: the last one counts, and nothing is written through an earlier link
    return entry.replace(name=name, uid=UID, gid=UID, uname="", gname="", deep=False, **linked)


def _stays(link: Path, folder: Path) -> bool:
    target = os.path.realpath(link)
    return any(target == root or target.startswith(f"{root}/") for root in (str(folder), MOUNT))


@dataclass
class Merge:
    """What it takes to bring one folder's contents into another; paths relative to both."""

    new: list[str] = field(default_factory=list)  # whole folders among them
    same: list[str] = field(default_factory=list)  # there already, byte by byte
    other: list[str] = field(default_factory=list)  # there, with other contents
    clash: list[str] = field(default_factory=list)  # a folder here and none there


def compare(staged: Path, there: Path, below: str = "", only: str = "") -> Merge:
    """Compare what was unpacked, or one entry of it, with what is there. Links are compared, never followed."""
    merge = Merge()
    for name in [only] if only else sorted(path.name for path in (staged / below).iterdir()):
        path = f"{below}/{name}" if below else name
        ours, theirs = staged / path, there / path
        if not os.path.lexists(theirs):
            merge.new.append(path)
            continue
        folders = [stat.S_ISDIR(item.lstat().st_mode) for item in (ours, theirs)]
        if all(folders):
            inner = compare(staged, there, path)
            merge.new += inner.new
            merge.same += inner.same
            merge.other += inner.other
            merge.clash += inner.clash
        elif any(folders):
            merge.clash.append(path)
        else:
            (merge.same if _same(ours, theirs) else merge.other).append(path)
    return merge


def _same(one: Path, other: Path) -> bool:
    if one.is_symlink() or other.is_symlink():
        return one.is_symlink() and other.is_symlink() and one.readlink() == other.readlink()
    if one.is_fifo() and other.is_fifo():
        return True
    if not (one.is_file() and other.is_file()):
        return False
    return one.stat().st_mode == other.stat().st_mode and filecmp.cmp(one, other, shallow=False)


def settle(staged: Path, there: Path, *, replace: bool) -> Merge:
    """Move what was unpacked into place, a folder that is new as a whole. Raises Refused before anything is moved."""
    merge = compare(staged, there)
    if merge.clash:
        raise Refused(
            "folders here and files there have the same names",
            "give another folder: --into",
            merge.clash,
            conflict=True,
        )
    if merge.other and not replace:
        hint = "--replace puts the new ones in their place; --into FOLDER puts all beside them"
        raise Refused("files of the same names are there, with other contents", hint, merge.other, conflict=True)
    for path in (*merge.new, *merge.other):
        (staged / path).replace(there / path)
    return merge


def folder_in(volume: Path, into: str) -> Path:
    """A folder of the volume, made if there is none; never through a link. Raises Refused."""
    folder, parts = volume, Path(into).parts
    if any(part in ("..", "/") or part.startswith(STAGING) for part in parts):
        raise Refused(f"{into} is no folder of the volume")
    for part in parts:
        folder /= part
        if not os.path.lexists(folder):
            folder.mkdir()
            _give(folder)
        if folder.is_symlink() or not folder.is_dir():
            raise Refused(f"{into} is no folder of the volume, or leads through a link", "give another: --into FOLDER")
    return folder


def _give(path: Path) -> None:
    if path.lstat().st_uid != UID:
        os.lchown(path, UID, UID)


def refusal(error: OSError) -> Refused:
    """What to say of an error of the file system."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Refused("there is no room left in the volume", "remove something, or raise the quota")
    return Refused(f"the volume does not take it: {error.strerror or error}")


def _walk(folder: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            yield Path(parent, name)


def _remove(folder: Path) -> None:
    with suppress(FileNotFoundError):
        shutil.rmtree(folder)
