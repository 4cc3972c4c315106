"""The container's command line: a verb and its options. `stackgen backup` is the one for people."""

import argparse
import os
import subprocess
import sys

from stackgen_backup import (
    check,
    database,
    history,
    listing,
    lock,
    manifest,
    reach,
    repository,
    restic,
    restore,
    retention,
    run,
    schedule,
)
from stackgen_backup.report import BackupError


def main() -> int:
    """Do what the verb says; the exit code."""
    parser = argparse.ArgumentParser(prog="backup", description="Backups of the stack, with restic. Prints JSON.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("init", help="initialise the repository")
    verbs.add_parser("run", help="back up everything")
    listed = verbs.add_parser("list", help="the snapshots")
    listed.add_argument("--user", default="", help="those that hold a volume of this user")
    files = verbs.add_parser("files", help="what a user's volume held")
    files.add_argument("--snapshot", default="latest")
    files.add_argument("--user", required=True)
    files.add_argument("path", nargs="?", default="")
    shown = verbs.add_parser("manifest", help="what a snapshot says of itself")
    shown.add_argument("--snapshot", default="latest")
    shown.add_argument(
        "--stack", default=os.environ["STACK_NAME"], help="of this stack; empty: of the only one there is"
    )
    restored = verbs.add_parser("restore", help="what `stackgen backup restore` does in here; it mounts the targets")
    restored.add_argument("--snapshot", required=True, help="its whole id")
    restored.add_argument("--volume", default="", help="this one alone; else everything")
    restored.add_argument("--path", default="", help="this path of it alone")
    restored.add_argument(
        "--beside", default="", help="into this new folder of the volume; else in place of what is there"
    )
    restored.add_argument("--prepare", action="store_true", help="all but putting it in place")
    verbs.add_parser(
        "load-database", help="with PostgreSQL, after a restore of the whole stack: load the hub's database"
    )
    occupied = verbs.add_parser("occupied", help="which of these volumes hold something")
    occupied.add_argument("volumes", nargs="*")
    checked = verbs.add_parser("check", help="whether the repository is sound")
    checked.add_argument("--read-data", default="", metavar="PART", help="read 100%%, or a part of it such as 5%%")
    checked.add_argument(
        "--restore", action="store_true", help="restore the newest snapshot for trial; needs -v /scratch"
    )
    forgotten = verbs.add_parser("forget", help="forget what BACKUP_KEEP does not keep")
    forgotten.add_argument("--dry-run", action="store_true", help="only say which")
    verbs.add_parser("schedule", help="back up each day at BACKUP_SCHEDULE")
    verbs.add_parser("health", help="whether there was a complete backup within two days")
    verbs.add_parser("restic", help="restic itself, with all that follows as its arguments")
    if sys.argv[1:2] == ["restic"]:
        with lock.held():
            return subprocess.call(["restic", *sys.argv[2:]])
    given = parser.parse_args()
    try:
        match given.verb:
            case "schedule":
                return schedule.serve()
            case "health":
                return schedule.health()
        if given.verb not in ("init", "load-database", "occupied"):
            reach.check()
        match given.verb:
            case "list":
                return listing.snapshots(given.user)
            case "files":
                return listing.files(given.snapshot, given.user, given.path)
            case "manifest":
                return manifest.show(given.snapshot, given.stack)
            case "load-database":
                return database.load()
            case "occupied":
                return manifest.show_occupied(given.volumes)
        with lock.held() as killed:
            if killed and given.verb != "init":
                restic.remove_own_locks()
            match given.verb:
                case "init":
                    return repository.init()
                case "run":
                    return run.run()
                case "restore" if given.volume:
                    return restore.volume(
                        given.snapshot, given.volume, given.path, beside=given.beside, prepare=given.prepare
                    )
                case "restore":
                    return restore.whole(given.snapshot)
                case "check":
                    return check.check(given.read_data, prove=given.restore)
                case "forget":
                    return retention.by_hand(dry_run=given.dry_run)
    except BackupError as error:
        if given.verb == "run":
            history.keep_failure(error)
        error.show()
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    return 0


sys.exit(main())
