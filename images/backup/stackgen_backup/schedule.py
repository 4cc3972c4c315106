"""`schedule`: the service that backs up each day at BACKUP_SCHEDULE, and `health`, which says whether that works."""

import os
import subprocess
import sys
import time as clock
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from stackgen_backup import database, history
from stackgen_backup.report import FAILED, SETTINGS, BackupError, say

PAUSES = tuple(
    timedelta(minutes=minutes) for minutes in (15, 30, 60, 120, 240)
)  # after the first failure, the second...
TOO_OLD = timedelta(days=2)
YOUNG = timedelta(hours=6)
STARTED = Path("/tmp/started")  # noqa: S108  # its time is that of the service's start
POLL = 30  # seconds: how soon a clock that was set, or a machine that slept, is noticed


@dataclass(frozen=True)
class Daily:
    """A time of the day in a time zone, as BACKUP_SCHEDULE has it: `03:30`, or `03:30 Asia/Shanghai`."""

    at: time
    zone: ZoneInfo

    @classmethod
    def parse(cls, text: str) -> "Daily":
        """Raises ValueError for what is none, or a zone that is not known."""
        at, _, zone = text.partition(" ")
        try:
            return cls(time.fromisoformat(at), ZoneInfo(zone or "UTC"))
        except (OSError, KeyError):  # ZoneInfoNotFoundError is a KeyError
            raise ValueError(f"{zone} is not a time zone") from None

    def next(self, after: datetime) -> datetime:
        """The first time later than this, in UTC; once on each date.

        Where the clock is put forward over it, the time is as much later; where it is put back, the first of the two.
        """
        return next(moment for moment in self._around(after) if moment > after)

    def last(self, before: datetime) -> datetime:
        """The last time that is not later than this, in UTC."""
        return [moment for moment in self._around(before) if moment <= before][-1]

    def _around(self, moment: datetime) -> list[datetime]:
        date = moment.astimezone(self.zone).date()
        days = (date + timedelta(days=number) for number in range(-2, 4))
        return [datetime.combine(day, self.at, self.zone).astimezone(UTC) for day in days]


def due(daily: Daily, now: datetime, success: datetime | None, failure: datetime | None, failures: int) -> datetime:
    """When to back up next; not later than now if it is time.

    `success` is the last complete backup, `failure` the last one since that was none; there were so many `failures`.
    """
    if failure and (success is None or success < failure):  # else somebody made one by hand meanwhile
        return min(failure + PAUSES[min(failures, len(PAUSES)) - 1], daily.next(failure))
    if success is None or success < daily.last(now):
        return now  # the first one, or one that was missed
    return daily.next(now)


def is_healthy(now: datetime, success: datetime | None, began: datetime) -> bool:
    """Whether the last complete backup is two days old at most, or the service young, which may have to catch up."""
    return now - began <= YOUNG or now - (success or began) <= TOO_OLD


def serve() -> int:
    """Back up whenever it is due, for ever."""
    try:
        daily = Daily.parse(os.environ["BACKUP_SCHEDULE"])
    except ValueError as error:
        raise BackupError(f"BACKUP_SCHEDULE={os.environ['BACKUP_SCHEDULE']}: {error}", "", SETTINGS) from None
    STARTED.touch()
    failures, failure, announced = 0, None, None
    while True:
        now = datetime.now(UTC)
        success = history.last_success()
        moment = due(daily, now, success, failure, failures)
        if moment <= now and success is None and not database.is_there():
            clock.sleep(2)  # a new stack, whose hub has not started for the first time
        elif moment <= now:
            # a program of its own: whatever befalls it, the service goes on
            code = subprocess.run([sys.executable, "-m", "stackgen_backup", "run"], check=False).returncode
            failures, failure = (failures + 1, datetime.now(UTC)) if code else (0, None)
        else:
            if moment != announced:
                say(f"next backup: {moment.astimezone(daily.zone):%Y-%m-%d %H:%M %Z}")
                announced = moment
            clock.sleep(min(POLL, (moment - now).total_seconds()))


def health() -> int:
    """For Docker: 0, or 1 if backups fail."""
    now, success = datetime.now(UTC), history.last_success()
    began = datetime.fromtimestamp(STARTED.stat().st_mtime, UTC) if STARTED.exists() else now
    if is_healthy(now, success, began):
        return 0
    print(f"the last complete backup: {success:%Y-%m-%d %H:%M} UTC" if success else "there was no complete backup yet")
    return FAILED
