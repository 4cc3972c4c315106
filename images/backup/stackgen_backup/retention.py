"""`forget`: which snapshots are kept, by restic's own policy, and when the room of the others is given back."""

import json
import os
import time

from stackgen_backup import restic
from stackgen_backup.places import STATE
from stackgen_backup.report import BackupError, result, say

PRUNE_EVERY = 7 * 86400  # seconds. Pruning reads much of a repository; forgetting costs next to nothing
PRUNED = STATE / "pruned"  # its time is that of the last pruning
ALL = "all"


def options(policy: str) -> list[str]:
    """restic's options for BACKUP_KEEP, such as daily=7,weekly=5."""
    pairs = [item.partition("=") for item in policy.split(",")]
    return [word for unit, _, count in pairs for word in (f"--keep-{unit}", count)]


def forget(*, dry_run: bool = False, prune: bool = False) -> dict:
    """Forget snapshots that the policy does not keep: what is kept, and what is not. Raises BackupError.

    The room that they took is given back with `prune`, and else if that was not done for a week.
    """
    policy = os.environ["BACKUP_KEEP"]
    report = {"keep": [], "remove": [], "pruned": False}
    if policy == ALL:
        report["keep"] = [_short(snapshot) for snapshot in restic.snapshots()]
        return report
    words = ["--host", os.environ["STACK_NAME"], "--tag", "stackgen", "--group-by", "host", *options(policy)]
    text = restic.command("forget", "--json", *words, *(["--dry-run"] if dry_run else []))
    for group in json.loads(text or "[]") or []:
        for key in ("keep", "remove"):
            report[key] += [_short(snapshot) for snapshot in group[key] or []]
    if not dry_run and (prune or _is_due()):
        restic.command("prune")
        PRUNED.touch()
        report["pruned"] = True
    return report


def after_run() -> None:
    """Forget what need not be kept any more. A failure is said, and is none of the backup's: that is made."""
    try:
        report = forget()
    except BackupError as error:
        say(f"warning: no snapshot was forgotten: {error}\nhint: {error.hint}")
        return
    if report["remove"]:
        pruned = ", and their room given back" if report["pruned"] else ""
        say(f"forgot {len(report['remove'])} older snapshots{pruned}; {len(report['keep'])} are kept")


def by_hand(*, dry_run: bool) -> int:
    """The verb: print what is kept, and what is not. Raises BackupError."""
    result(forget(dry_run=dry_run, prune=True))
    return 0


def _short(snapshot: dict) -> dict:
    return {"id": snapshot["id"], "time": snapshot["time"]}


def _is_due() -> bool:
    try:
        return time.time() - PRUNED.stat().st_mtime > PRUNE_EVERY
    except FileNotFoundError:
        PRUNED.touch()  # a new repository: in a week
        return False
