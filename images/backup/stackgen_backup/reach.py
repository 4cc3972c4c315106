"""Whether a repository on another machine can be opened, soon: restic itself tries for a quarter of an hour."""

import re
import subprocess
import threading

from stackgen_backup import restic
from stackgen_backup.places import REPOSITORY
from stackgen_backup.report import SETTINGS, BackupError

PATIENCE = 30  # seconds
TRYING = re.compile(r"returned error, retrying after [^:]+: (.*)")
WHOSE = {
    "s3": "BACKUP_S3_KEY_ID, BACKUP_S3_SECRET, BACKUP_S3_REGION",
    "rest": "BACKUP_REST_USER, BACKUP_REST_PASSWORD",
    "sftp": "BACKUP_SSH_KEY, BACKUP_SSH_KNOWN_HOSTS",
}
REFUSED = re.compile(
    r"signature|access key|access denied|forbidden|unauthorized|permission denied|host key", re.IGNORECASE
)
NO_BUCKET = re.compile(r"bucket does not exist|NoSuchBucket")  # `restic init` makes one
HOPELESS = re.compile(f"{REFUSED.pattern}|{NO_BUCKET.pattern}", re.IGNORECASE)


def check() -> None:
    """Raise BackupError if there is no repository, its password is another one, or nobody answers there."""
    if REPOSITORY.is_dir():
        return  # a folder answers at once
    code, message = attempt()
    if code:
        raise failure(code, message)


def attempt() -> tuple[int, str]:
    """Open the repository: restic's exit code, and what it complained about. It is stopped when it tries in vain."""
    lines = []
    with subprocess.Popen(
        ["restic", "--no-lock", "cat", "config"],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace",
    ) as process:  # fmt: skip
        timer = threading.Timer(PATIENCE, process.kill)
        timer.start()
        assert process.stderr
        for line in process.stderr:
            lines.append(line)
            trying = TRYING.search(line)
            if trying and HOPELESS.search(trying[1]):
                process.kill()
        timer.cancel()
    message = "".join(lines)
    return restic.NO_REPOSITORY if NO_BUCKET.search(message) else process.returncode, message


def failure(code: int, message: str) -> BackupError:
    """The error for it, which names the settings in question."""
    if code in (restic.NO_REPOSITORY, restic.WRONG_PASSWORD):
        return restic.failure(code, message)
    kind = restic.repository.partition(":")[0]
    reason = reason_of(message)
    if REFUSED.search(reason):
        return BackupError(
            f"the server of BACKUP_REPOSITORY={restic.repository} refuses: {reason}",
            f"look at {WHOSE.get(kind, 'its folder')} in .env",
            SETTINGS,
        )
    return BackupError(
        f"BACKUP_REPOSITORY={restic.repository} cannot be reached: {reason}",
        "is the address right, and is that machine up? Nothing is lost; try again later",
    )


def reason_of(message: str) -> str:
    """Why, in the words of whoever said it: the server, or the program that could not reach it."""
    if tries := TRYING.findall(message):
        return str(tries[-1]).strip()
    lines = [
        line for line in message.splitlines() if line.strip() and not line.startswith(("Is there", restic.repository))
    ]
    said = [line.removeprefix("subprocess ssh: ") for line in lines if line.startswith("subprocess ssh: ")]
    return (said or lines or ["no answer"])[-1].removeprefix("Fatal: ").strip()
