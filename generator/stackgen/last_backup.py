"""How old the last backup is, from what the backup container has written down."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from stackgen.backup import STATE
from stackgen.stack import Stack
from stackgen.units import minute

TOO_OLD = timedelta(days=2)


@dataclass(frozen=True)
class LastBackup:
    """What is known of the last backups. `complete` is ISO 8601, empty if there was none; so is `failed`."""

    repository: str
    complete: str
    failed: str = ""
    error: str = ""
    problems: int = 0  # of the last snapshot

    def warnings(self, now: datetime) -> Iterator[str]:
        """What the admin should know, the most important first."""
        if not self.repository:
            yield "there are no backups: stackgen backup init"
            return
        if not self.complete:
            yield "there was no complete backup yet: stackgen backup run"
        elif (age := now - datetime.fromisoformat(self.complete)) > TOO_OLD:
            yield f"the last complete backup is {age.days} days old: stackgen backup run, stackgen backup schedule"
        if self.error:
            yield f"the last backup failed ({minute(self.failed)} UTC): {self.error}"
        elif self.problems:
            yield f"the last backup was not complete: {self.problems} problems; stackgen backup run shows them"

    def text(self) -> str:
        """One line for people, and one for each warning."""
        last = [f"last complete backup: {minute(self.complete)} UTC"] if self.complete else []
        return "\n".join([*last, *(f"warning: {warning}" for warning in self.warnings(datetime.now(UTC)))])

    def data(self) -> dict[str, Any]:
        """The same for programs."""
        return {**asdict(self), "warnings": list(self.warnings(datetime.now(UTC)))}


def last_backup(stack: Stack) -> LastBackup:
    """What the backup container has written down; a file that cannot be read is as none."""
    last, failure = _read(stack, "last.json"), _read(stack, "failure.json")
    repository = stack.settings["BACKUP_REPOSITORY"]
    if last.get("repository") != repository:
        last = {}  # what another repository holds may be gone
    return LastBackup(
        repository=repository,
        complete=str(last.get("complete", "")),
        failed=str(failure.get("time", "")),
        error=str(failure.get("error", "")),
        problems=len(last.get("problems", [])),
    )


def _read(stack: Stack, name: str) -> dict[str, Any]:
    try:
        found = json.loads((stack.directory / STATE / name).read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
