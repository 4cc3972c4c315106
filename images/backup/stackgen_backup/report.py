"""What the container says: progress and errors on stderr, data as JSON on stdout. Exit codes are stackgen's."""

import json
import os
import sys
import time

from stackgen_backup.units import size

FAILED, USAGE, CONFLICT, SETTINGS = 1, 2, 3, 5


class BackupError(Exception):
    """Ends a verb: printed as `error: ...` and `hint: ...`."""

    def __init__(self, message: str, hint: str = "", exit_code: int = FAILED) -> None:
        super().__init__(message)
        self.hint, self.exit_code = hint, exit_code

    def show(self) -> None:
        """Print it as stackgen prints its own errors."""
        say(f"error: {self}")
        if self.hint:
            say(f"hint: {self.hint}")


def say(text: str) -> None:
    """A line of progress."""
    print(text, file=sys.stderr, flush=True)


def result(data: object) -> None:
    """What the verb found out, for a program."""
    print(json.dumps(data, ensure_ascii=False), flush=True)


def on_terminal() -> bool:
    """Whether a person looks on: stackgen says so, because what reaches the container is a pipe."""
    return os.environ.get("STACKGEN_TERMINAL") == "true"


class Progress:
    """restic's status lines: one line that changes on a terminal, a line each minute elsewhere."""

    def __init__(self, verb: str) -> None:
        self.verb = verb
        self.terminal = on_terminal()
        self.next = time.monotonic() + 60

    def show(self, status: dict) -> None:
        """Show how far it is."""
        if not self.terminal and time.monotonic() < self.next:
            return
        self.next = time.monotonic() + 60
        done, total = status.get("bytes_done", status.get("bytes_restored", 0)), status.get("total_bytes", 0)
        text = f"{self.verb}: {status.get('percent_done', 0):4.0%}, {size(done)} of {size(total)}"
        if not total:
            text = f"{self.verb}: {size(done)} so far"
        if self.terminal:
            print(f"\r\x1b[2K{text}", end="", file=sys.stderr, flush=True)
        else:
            say(text)

    def end(self) -> None:
        """Take the changing line away."""
        if self.terminal:
            print("\r\x1b[2K", end="", file=sys.stderr, flush=True)
