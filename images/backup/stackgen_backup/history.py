"""What is known of backups made so far, in .stackgen/backup: `stackgen status` reads it, and so does the service."""

import json
from datetime import UTC, datetime

from stackgen_backup.places import STATE
from stackgen_backup.report import BackupError
from stackgen_backup.restic import repository

LAST, FAILURE = STATE / "last.json", STATE / "failure.json"


def keep(report: dict) -> None:
    """Keep the report of a run that made a snapshot; `complete` is the time of the last one without problems."""
    complete = report["time"] if not report["problems"] else _last().get("complete", "")
    _write(LAST.name, report | {"complete": complete, "repository": repository})
    FAILURE.unlink(missing_ok=True)


def keep_failure(error: BackupError) -> None:
    """Keep why a run made no snapshot."""
    _write(FAILURE.name, {"time": datetime.now(UTC).isoformat(timespec="seconds"), "error": str(error)})


def last_success() -> datetime | None:
    """The time of the last complete backup."""
    try:
        return datetime.fromisoformat(_last()["complete"])
    except (KeyError, ValueError):
        return None


def _last() -> dict:
    """The last report, if it is of this repository."""
    found = _read(LAST.name)
    return found if found.get("repository") == repository else {}


def _read(name: str) -> dict:
    try:
        found = json.loads((STATE / name).read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _write(name: str, data: dict) -> None:
    new = STATE / f"{name}.new"
    new.write_text(json.dumps(data, ensure_ascii=False))
    new.replace(STATE / name)
