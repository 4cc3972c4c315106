"""What a snapshot says of itself."""

import json

from stackgen_backup import restic
from stackgen_backup.contents import FORMAT
from stackgen_backup.places import MANIFEST
from stackgen_backup.report import BackupError


def read(snapshot: str) -> dict:
    """The manifest of a snapshot. Raises BackupError if it is of a later stackgen."""
    manifest = json.loads(restic.read("dump", snapshot, str(MANIFEST)))
    if manifest["format"] > FORMAT:
        raise BackupError(
            f"the snapshot {snapshot[:8]} was made by stackgen {manifest['stackgen']}", "restore it with that version"
        )
    return manifest


def volume_of(manifest: dict, user: str) -> str:
    """The name of a user's volume; empty if there is none."""
    return next((name for name, entry in manifest["volumes"].items() if entry["owner"] == user), "")
