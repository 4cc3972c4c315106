"""A volume's staging folder: beside _data in the engine's folder of the volume, so that no user can reach it.

What comes out of a snapshot is complete there before it takes its place.
"""

import errno
import json
import os
import shutil
from pathlib import PurePosixPath

from stackgen_backup.folders import beneath, opened, sync
from stackgen_backup.places import TARGET
from stackgen_backup.renaming import exchange, place
from stackgen_backup.report import CONFLICT, BackupError

FOLDER = ".restoring"


class Stage:
    """The staging folder of one volume, for one job: what is restored, and how it is placed."""

    def __init__(self, volume: str, job: str) -> None:
        self.job = job
        self.live = TARGET / "volumes" / volume  # holds _data
        self.folder = self.live / FOLDER
        self.note = self.folder / "job.json"  # the job, and the inode of what was to take the place of _data

    def settle(self) -> bool:
        """Make sense of what an interrupted run left: whether the job is done; else what is of use for it is kept."""
        try:
            note = json.loads(self.note.read_bytes())
        except (FileNotFoundError, ValueError):
            note = {}
        if note.get("job") == self.job and note.get("inode") == (self.live / "_data").stat().st_ino:
            return True
        if note.get("job") != self.job or "inode" in note:
            self.clear()
            self._write({"job": self.job})
        return False

    @property
    def ready(self) -> bool:
        """Whether everything is there that is to be placed."""
        return bool(json.loads(self.note.read_bytes()).get("ready"))

    def complete(self) -> None:
        """Note that everything is there."""
        self._write({"job": self.job, "ready": True})

    def exchange(self) -> None:
        """Let what was restored and the volume's content change places."""
        restored = (self.folder / "_data").stat()
        self._write({"job": self.job, "inode": restored.st_ino})
        with opened(self.folder) as new, opened(self.live) as live:
            sync(live)
            exchange("_data", "_data", one_in=new, other_in=live)
            sync(live)

    def beside(self, name: str) -> str:
        """Move what was restored into a new folder of the volume: its name, which is `name`, or `name-2`..."""
        with opened(self.folder) as new, opened(self.live / "_data") as live:
            sync(live)
            for number in range(1, 1000):
                called = name if number == 1 else f"{name}-{number}"
                try:
                    place("_data", called, one_in=new, other_in=live)
                except FileExistsError:
                    continue
                return called
        raise BackupError(f"there are too many folders {name}-... in the volume")

    def replace(self, path: PurePosixPath) -> None:
        """Let one restored file or folder take the place of what the volume has there."""
        parts, restored = path.parts[:-1], self.folder / "_data"
        try:
            with (
                beneath(restored, parts, restored) as new,
                beneath(self.live / "_data", parts, restored) as live,
            ):
                sync(live)
                try:
                    place(path.name, path.name, one_in=new, other_in=live)
                except FileExistsError:
                    exchange(path.name, path.name, one_in=new, other_in=live)
        except OSError as error:
            if error.errno not in (errno.ENOTDIR, errno.ELOOP):
                raise
            raise BackupError(
                f"{path.parent} in the volume is no folder any more",
                "restore it beside what is there: without --replace",
                CONFLICT,
            ) from None

    def clear(self) -> None:
        """Remove what is in the staging folder. The folder stays: a restore that waits for this one has it mounted."""
        for entry in list(self.folder.iterdir()) if self.folder.is_dir() else []:
            if entry == self.note:
                continue
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()
        self.note.unlink(missing_ok=True)  # last: it says what the rest is

    def _write(self, note: dict) -> None:
        new = self.note.with_suffix(".new")
        with new.open("w") as file:
            json.dump(note, file)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self.note)
