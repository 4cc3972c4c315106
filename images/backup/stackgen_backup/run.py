"""`run`: one snapshot of everything."""

import os
import re
import time
from datetime import UTC, datetime

from stackgen_backup import contents, database, history, restic, retention
from stackgen_backup.places import HUB_DATA, OPERATOR, STACK, VOLUMES, WORK
from stackgen_backup.report import FAILED, BackupError, Progress, on_terminal, result, say
from stackgen_backup.units import size

VANISHED = re.compile(r"no such file or directory|stale NFS file handle|bad file descriptor")
SHOWN = 10  # paths named on the terminal; the report has all


def run() -> int:
    """Make a snapshot, and keep and print a report; the exit code. Raises BackupError if there is none."""
    began = time.monotonic()
    kind = database.kind()
    found = contents.find()
    entry, problem = database.copy()
    if problem:
        found.problems.append(problem)
    contents.write_manifest(found, entry)
    say(f"backing up {len(found.volumes)} volumes and the hub's database ({kind}) to {restic.repository}")
    vanished, summary = [], {}
    progress = Progress("backup")

    def each(message: dict) -> None:
        match message["message_type"]:
            case "status":
                progress.show(message)
            case "error":
                what, where = message["error"].get("message", ""), message.get("item", "")
                if "storing the file again" in what:
                    say(f"{where} was damaged in the repository, and is stored again")
                elif VANISHED.search(what):
                    vanished.append(where)
                else:
                    found.problems.append(f"{where} cannot be read: {what}")
            case "summary":
                summary.update(message)

    restic.work("backup", *_options(), *excludes(), *_paths(found), each=each)
    progress.end()
    report = {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "snapshot": summary["snapshot_id"],
        "volumes": len(found.volumes),
        "files": summary["total_files_processed"],
        "bytes": summary["total_bytes_processed"],
        "added": summary["data_added_packed"],
        "seconds": round(time.monotonic() - began, 1),
        "vanished": vanished,
        "problems": found.problems,
    }
    history.keep(report)
    say(
        f"snapshot {report['snapshot'][:8]}: {report['files']} files, {size(report['bytes'])}, of which "
        f"{size(report['added'])} were new in the repository, in {report['seconds']} s"
    )
    if vanished:
        more = f" and {len(vanished) - SHOWN} more" if len(vanished) > SHOWN else ""
        say(f"warning: went away while they were read: {', '.join(vanished[:SHOWN])}{more}")
    if not found.problems:
        retention.after_run()
    result(report)
    for problem in found.problems[:SHOWN]:
        BackupError(problem).show()
    if found.problems:
        say(f"hint: the snapshot holds all else; it is not complete: {len(found.problems)} problems")
    return FAILED if found.problems else 0


def _options() -> list[str]:
    # Counting all files beforehand is for the percentage alone, which nobody sees in a log.
    count = [] if on_terminal() else ["--no-scan"]
    return ["--host", os.environ["STACK_NAME"], "--group-by", "host", "--tag", "stackgen", *count]


def excludes() -> list[str]:
    """What is left out: the live database, of which there is a copy, and what belongs to this machine's work."""
    left_out = [str(STACK / ".stackgen/backup")]
    if database.kind() == "sqlite":
        live = VOLUMES / f"{os.environ['STACK_NAME']}-hub-data/_data" / database.original().relative_to(HUB_DATA)
        left_out += [f"{live}{end}" for end in ("", "-journal", "-wal", "-shm")]
    return [word for path in left_out for word in ("--exclude", path)]


def _paths(found: contents.Contents) -> list[str]:
    return [str(WORK), str(STACK), *([str(OPERATOR)] if OPERATOR.is_dir() else []), *found.paths]
