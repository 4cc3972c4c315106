"""What a snapshot says of itself."""

import json

from stackgen_backup import restic
from stackgen_backup.contents import FORMAT
from stackgen_backup.places import MANIFEST, VOLUMES
from stackgen_backup.report import BackupError, result


def read(snapshot: str) -> dict:
    """The manifest of a snapshot. Raises BackupError if it is of a later stackgen."""
    manifest = json.loads(restic.read("dump", snapshot, str(MANIFEST)))
    if manifest["format"] > FORMAT:
        raise BackupError(
            f"the snapshot {snapshot[:8]} was made by stackgen {manifest['stackgen']}", "restore it with that version"
        )
    return manifest


def show(wanted: str, stack: str) -> int:
    """Print a snapshot's id and time with its manifest."""
    snapshot = restic.snapshot(wanted, stack)
    result({"id": snapshot["id"], "taken": snapshot["time"], **read(snapshot["id"])})
    return 0


def show_occupied(volumes: list[str]) -> int:
    """Print which of these volumes are there and hold something."""
    folders = {name: VOLUMES / name / "_data" for name in volumes}
    result([name for name, folder in folders.items() if folder.is_dir() and any(folder.iterdir())])
    return 0


def volume_of(manifest: dict, user: str) -> str:
    """The name of a user's volume; empty if there is none."""
    return next((name for name, entry in manifest["volumes"].items() if entry["owner"] == user), "")
