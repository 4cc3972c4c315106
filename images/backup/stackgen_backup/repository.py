"""`init`: the repository that all else works in."""

from stackgen_backup import reach, restic
from stackgen_backup.places import REPOSITORY
from stackgen_backup.report import CONFLICT, BackupError, result, say

LAYOUT = {"data", "index", "keys", "locks", "snapshots"}


def init() -> int:
    """Initialise the repository; one that is there and takes the password is fine. Raises BackupError."""
    code, message = reach.attempt()
    if code == 0:
        say(f"the repository at {restic.repository} is there, and takes BACKUP_PASSWORD")
        result({"repository": restic.repository, "created": False})
        return 0
    if code != restic.NO_REPOSITORY:
        raise reach.failure(code, message)
    if REPOSITORY.is_dir():
        _check_empty()
    code, _, message = restic.attempt("init")
    if code:
        raise restic.failure(code, message)
    say(f"initialised a repository at {restic.repository}")
    result({"repository": restic.repository, "created": True})
    return 0


def _check_empty() -> None:
    """Raise BackupError if the folder holds anything but what an interrupted `init` left, which is taken away."""
    there = {entry.name for entry in REPOSITORY.iterdir()} - {"lost+found"}
    files = [file for folder in LAYOUT - {"keys"} for file in (REPOSITORY / folder).rglob("*") if file.is_file()]
    if there - LAYOUT or files:
        raise BackupError(
            f"the folder BACKUP_REPOSITORY={restic.repository} is not empty, and holds no repository",
            "name an empty folder, or one that is not there yet",
            CONFLICT,
        )
    for key in (REPOSITORY / "keys").glob("*"):  # of no repository: it has no config
        key.unlink()
