"""`check --restore`: restores the newest snapshot into a scratch volume, for trial, and compares."""

import filecmp
import os
import shutil
import sqlite3
import stat
import tempfile
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path

from stackgen_backup import manifest, restic
from stackgen_backup.places import SCRATCH, STACK, WORK
from stackgen_backup.report import BackupError, Progress, say
from stackgen_backup.units import minute

KINDS = {"file": stat.S_ISREG, "dir": stat.S_ISDIR, "symlink": stat.S_ISLNK, "fifo": stat.S_ISFIFO}
GO_BITS = ((23, stat.S_ISUID), (22, stat.S_ISGID), (20, stat.S_ISVTX))  # of the mode as restic prints it
SHOWN = 5  # problems of one part named on the terminal; the report has all


@dataclass
class Part:
    """What is restored of one volume, or of the rest. `bytes` are those of files."""

    path: str
    name: str
    owner: str = ""
    files: int = 0
    bytes: int = 0
    unchanged: int = 0  # files that are on this machine as they were, and were compared byte by byte
    problems: list[str] = field(default_factory=list)


def restore() -> list[dict]:
    """Try everything that the newest snapshot holds; a report on each part. Raises BackupError if that cannot begin."""
    if not SCRATCH.is_dir():
        raise BackupError("there is no scratch volume", "docker compose run --rm -v /scratch backup check --restore")
    # a new machine would not have the cache, which hides damage to what it holds
    os.environ["RESTIC_CACHE_DIR"] = tempfile.mkdtemp()
    snapshot = restic.snapshot("latest")
    held = manifest.read(snapshot["id"])
    whole = snapshot.get("summary", {}).get("total_bytes_processed", 0)
    parts = [Part(f"/volumes/{name}", name, entry["owner"]) for name, entry in held["volumes"].items()]
    parts += [Part(str(WORK), "database"), Part(str(STACK), "stack directory")]
    taken = minute(snapshot["time"])
    say(f"restoring the snapshot {snapshot['id'][:8]} of {taken} into a scratch volume")
    # all at once is faster, one after the other takes less room
    at_once = shutil.disk_usage(SCRATCH).free > 2 * whole
    for group in [parts] if at_once else [[part] for part in parts]:
        _restore(snapshot["id"], group)
        for part in group:
            _compare(snapshot["id"], part)
            if part.path == str(WORK):
                part.problems += _database(held["database"])
        _clear()
    for part in parts:
        for problem in part.problems[:SHOWN]:
            BackupError(f"{part.owner or part.name}: {problem}").show()
        if len(part.problems) > SHOWN:
            say(f"hint: and {len(part.problems) - SHOWN} more of {part.owner or part.name}")
    for problem in held["problems"]:
        say(f"warning: when it was made: {problem}")
    return [asdict(part) for part in parts]


def _restore(snapshot: str, parts: list[Part]) -> None:
    _clear()
    progress = Progress("restore")

    def each(message: dict) -> None:
        match message["message_type"]:
            case "status":
                progress.show(message)
            case "error":
                where, what = message.get("item", ""), message["error"].get("message", "")
                if "no space left" in what:
                    raise BackupError(
                        "there is not enough room for a trial", "make room where Docker keeps its volumes"
                    )
                part = next((part for part in parts if f"{where}/".startswith(f"{part.path}/")), parts[-1])
                problem = f"{where.removeprefix(part.path)} cannot be restored: {what}"
                if problem not in part.problems[-1:]:  # restic says it of a folder as often as it looks there
                    part.problems.append(problem)

    wanted = [word for part in parts for word in ("--include", part.path)]
    code, message = restic.examine(
        "restore", "--no-lock", "--verify", *wanted, "--target", str(SCRATCH), snapshot, each=each
    )
    progress.end()
    if code and not any(part.problems for part in parts):
        raise restic.failure(code, message)


def _compare(snapshot: str, part: Part) -> None:
    """Compare what was restored with what the snapshot says of it, and with this machine's own files."""
    known = {problem.partition(" cannot be restored")[0] for problem in part.problems}
    count = 0
    try:
        nodes = restic.nodes(snapshot, part.path, recursive=True)
        for node in nodes:
            inside = node["path"].removeprefix(part.path)
            if node["type"] == "socket":
                continue  # restic does not restore them: they mean nothing without the program that listens
            count += 1
            difference = _difference(node, part)
            if difference and inside not in known:
                part.problems.append(f"{inside or 'it'} {difference}")
    except BackupError:
        part.problems.append("it cannot be compared: the snapshot does not tell all that it held")
        return
    there = sum(len(folders) + len(files) for _, folders, files in os.walk(SCRATCH / part.path[1:])) + 1
    if not count:
        part.problems.append("it is not in the snapshot")
    elif there != count and not part.problems:
        part.problems.append(f"the snapshot holds {count} files and folders, and {there} were restored")


def _difference(node: dict, part: Part) -> str:
    """In what a restored file is not as the snapshot says; empty if it is."""
    path = SCRATCH / node["path"][1:]
    if node["type"] == "file":
        part.files += 1
        part.bytes += node.get("size", 0)
    try:
        found = path.lstat()
    except FileNotFoundError:
        # a name that is not UTF-8 is told garbled; that nothing lacks is seen by the count
        return "" if "\ufffd" in node["path"] else "was not restored"
    if not KINDS.get(node["type"], lambda _: True)(found.st_mode):
        return f"was a {node['type']}"
    if node["type"] == "symlink":
        return _difference_here(node, path, part)  # its mode means nothing
    mode = node["mode"] & 0o777 | sum(bit for place, bit in GO_BITS if node["mode"] >> place & 1)
    differing = {
        "mode": (oct(mode), oct(stat.S_IMODE(found.st_mode))),
        "owner": ((node["uid"], node["gid"]), (found.st_uid, found.st_gid)),
        "time": (_nanoseconds(node["mtime"]), found.st_mtime_ns),
    }
    if node["type"] == "file":
        differing["size"] = (node.get("size", 0), found.st_size)
    for what, (saved, restored) in differing.items():
        if saved != restored:
            return f"has another {what}: {restored} instead of {saved}"
    return _difference_here(node, path, part)


def _difference_here(node: dict, restored: Path, part: Part) -> str:
    """The same against the file on this machine, if that was not touched since: its bytes must be the same."""
    here = Path(node["path"])
    with suppress(OSError):
        if here.lstat().st_ctime_ns != _nanoseconds(node["ctime"]):
            return ""
        match node["type"]:
            case "file":
                same = filecmp.cmp(here, restored, shallow=False)
                part.unchanged += same
            case "symlink":
                same = here.readlink() == restored.readlink()
            case _:
                same = True
        return "" if same else "is not what is on this machine, where it has not changed since"
    return ""


def _nanoseconds(moment: str) -> int:
    """A time of RFC 3339 with up to nine digits after the point, in nanoseconds since the epoch."""
    if moment.endswith("Z"):
        moment = moment[:-1] + "+00:00"
    seconds, point, rest = moment.partition(".")
    digits = rest[: next((i for i, c in enumerate(rest) if not c.isdigit()), len(rest))]
    zone = rest[len(digits) :] if point else ""
    whole = datetime.fromisoformat(seconds + zone)
    return int(whole.timestamp()) * 10**9 + int(digits.ljust(9, "0") or 0)


def _database(entry: dict) -> list[str]:
    """What is wrong with the restored copy of the hub's database."""
    copy = SCRATCH / entry["copy"][1:]
    try:
        if entry["kind"] == "postgresql":
            with copy.open("rb") as file:
                file.seek(max(0, copy.stat().st_size - 1000))
                return [] if b"database dump complete" in file.read() else ["the dump of PostgreSQL is cut off"]
        with closing(sqlite3.connect(f"file:{copy}?mode=ro&immutable=1", uri=True)) as opened:
            (verdict,) = opened.execute("PRAGMA integrity_check(1)").fetchone()
            opened.execute("SELECT count(*) FROM users").fetchone()
        return [] if verdict == "ok" else [f"the hub's database is damaged: {verdict}"]
    except (OSError, sqlite3.Error) as error:
        return [f"the hub's database cannot be opened: {error}"]


def _clear() -> None:
    for entry in SCRATCH.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
