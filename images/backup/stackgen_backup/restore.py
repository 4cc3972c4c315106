"""`restore`: a whole stack, one volume, or one path of it, out of a snapshot."""

import os
import re
import shutil
import time
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from stackgen_backup import manifest, restic
from stackgen_backup.places import STAGING, TARGET
from stackgen_backup.report import USAGE, BackupError, Progress, result, say
from stackgen_backup.staging import Stage
from stackgen_backup.units import size

HUB_VOLUME = "hub-data"
SHOWN = 10  # errors named on the terminal


@dataclass(frozen=True)
class Restored:
    """What restic did: bytes it wrote, and what went wrong, file by file."""

    bytes: int
    problems: list[str]


def whole(snapshot: str) -> int:
    """Every volume that the snapshot has, the stack directory, and the hub's database. Raises BackupError."""
    began, found = time.monotonic(), manifest.read(snapshot)
    stages = [Stage(volume, f"{snapshot} whole") for volume in found["volumes"]]
    todo = [stage for stage in stages if not stage.settle()]
    say(f"restoring {len(todo)} volumes and the stack directory")
    finished = [f"/volumes/{stage.live.name}" for stage in stages if stage not in todo]
    done = _restore(snapshot, [word for path in finished for word in ("--exclude", path)])
    _fail_on(done.problems, "nothing was put in place; the next try goes on from here")
    _place_database(found)
    _place_operators_files(found)
    for stage in todo:
        stage.exchange()
    for stage in stages:
        stage.clear()
    say(f"restored {size(done.bytes)} in {time.monotonic() - began:.1f} s")
    result({"snapshot": snapshot, "volumes": list(found["volumes"]), "bytes": done.bytes})
    return 0


def volume(snapshot: str, name: str, path: str, *, beside: str, prepare: bool) -> int:
    """One volume, or one path of it: into the new folder `beside` of it, or else in the place of what is there.

    With `prepare` it is only made ready, and takes its place the next time. Raises BackupError.
    """
    inside = PurePosixPath(*(part for part in path.split("/") if part not in ("", ".")))
    if ".." in inside.parts:
        raise BackupError(f"--path {path}: name it as the volume has it, such as notebooks/x.ipynb", exit_code=USAGE)
    stage = Stage(name, f"{snapshot} {inside}{'' if beside else ' replace'}")
    problems: list[str] = []
    if not stage.settle():
        if not stage.ready:
            problems = _fill(stage, snapshot, inside, salvage=bool(beside))
        if prepare:
            return 0
        if beside:
            beside = stage.beside(beside)
        elif inside == PurePosixPath():
            stage.exchange()
        else:
            stage.replace(inside)
    stage.clear()
    result({"snapshot": snapshot, "volume": name, "path": path, "placed": str(PurePosixPath(beside) / inside)})
    _fail_on(problems, f"all else is in {beside}")
    return 0


def _fill(stage: Stage, snapshot: str, inside: PurePosixPath, *, salvage: bool) -> list[str]:
    """Restore into the staging folder; with `salvage` what could not be restored is returned, and else an error."""
    source = str(PurePosixPath(f"/volumes/{stage.live.name}/_data") / inside)
    done = _restore(snapshot, ["--include", _literal(source)])
    found = os.path.lexists(stage.folder / "_data" / inside)
    if not (salvage and found):
        _fail_on(done.problems, "what is there stays as it is")
    if not found:
        stage.clear()
        raise BackupError(
            f"the snapshot {snapshot[:8]} has no {inside} in the volume {stage.live.name}",
            "what it has is shown by: stackgen backup list --files --user",
        )
    stage.complete()
    return done.problems


def _restore(snapshot: str, options: list[str]) -> Restored:
    problems, summary, progress = [], {}, Progress("restore")

    def each(message: dict) -> None:
        match message["message_type"]:
            case "status":
                progress.show(message)
            case "error":
                problems.append(f"{message.get('item', '')}: {message['error'].get('message', '')}")
            case "summary":
                summary.update(message)

    # What an interrupted run restored is not written again: restic sets a file's time after its content.
    options = ["--target", str(STAGING), "--sparse", "--overwrite", "if-changed", *options]
    try:
        restic.work("restore", snapshot, *options, each=each)
    except BackupError:
        if not problems:
            raise
    finally:
        progress.end()
    return Restored(summary.get("bytes_restored", 0), problems)


def _fail_on(problems: list[str], consequence: str) -> None:
    if problems:
        more = f"\nand {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
        raise BackupError(f"not everything could be restored; {consequence}", "\n".join(problems[:SHOWN]) + more)


def _place_database(found: dict) -> None:
    """Put the copy of the database where the hub looks for it; that of a server stays a file to be loaded."""
    database = found["database"]
    copy = STAGING / database["copy"].removeprefix("/")
    if not copy.exists():
        return
    if database["kind"] == "sqlite":
        data = STAGING / "volumes" / f"{found['stack']}-{HUB_VOLUME}" / "_data"
        _copy(copy, data / database["name"])
    else:
        _copy(copy, STAGING / "stack" / ".stackgen" / copy.name)


def _place_operators_files(found: dict) -> None:
    """Put files outside of the stack directory where they were, of those whose folder is mounted for it."""
    for key, path in found["operator"].items():
        folder, source = TARGET / "operator" / key, STAGING / "operator" / key
        if folder.is_dir() and source.exists():
            _copy(source, folder / Path(path).name)


def _copy(source: Path, target: Path) -> None:
    """Copy a file in one step, with mode, owner and time."""
    new = target.with_name(f".{target.name}.restoring")
    shutil.copy2(source, new)
    status = source.stat()
    os.chown(new, status.st_uid, status.st_gid)
    new.replace(target)


def _literal(path: str) -> str:
    """The path as a pattern of restic that matches nothing else (Go's filepath.Match)."""
    return re.sub(r"([\\*?\[])", r"\\\1", path)
