"""The container's command line: a verb and its options. `stackgen backup` is the one for people."""

import argparse
import sys

from stackgen_backup import listing, lock, repository, run
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
    given = parser.parse_args()
    try:
        match given.verb:
            case "list":
                return listing.snapshots(given.user)
            case "files":
                return listing.files(given.snapshot, given.user, given.path)
        with lock.held():
            match given.verb:
                case "init":
                    return repository.init()
                case "run":
                    return run.run()
    except BackupError as error:
        error.show()
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    return 0


sys.exit(main())
