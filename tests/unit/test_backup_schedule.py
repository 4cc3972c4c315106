"""When backups are made by themselves: the service's own reckoning, systemd's timer, cron's line; and what is kept."""

import os
import re
import shlex
import stat
import subprocess
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from backup_package import container  # noqa: F401  # its environment; and the package can be imported
from hypothesis import given
from hypothesis import strategies as st
from stackgen_backup import retention
from stackgen_backup import schedule as service
from unit_support import init, problems

from stackgen import checks, schedule
from stackgen.stack import Stack
from tests.conftest import stackgen

ZONES = [
    "UTC",
    "Asia/Shanghai",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Asia/Kathmandu",
]
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
moments = st.datetimes(datetime(2000, 1, 1), datetime(2037, 1, 1), timezones=st.just(UTC))
times = st.times().map(lambda at: at.replace(second=0, microsecond=0, tzinfo=None))
zones = st.sampled_from(ZONES).map(ZoneInfo)


@given(after=moments, at=times, zone=zones)
def test_the_next_backup_is_at_that_time_of_the_day(after: datetime, at: time, zone: ZoneInfo) -> None:
    daily = service.Daily(at, zone)
    moment = daily.next(after)
    assert after < moment <= after + 2 * DAY  # a date may be left out: Samoa's 30 December 2011
    local = moment.astimezone(zone)
    # at that time, or, where the clock was put forward over it, as much later
    assert local.time() == at or datetime.combine(local.date(), at, zone).astimezone(UTC).astimezone(zone) == local
    assert daily.last(moment) == moment
    assert daily.last(moment - timedelta(minutes=1)) <= after or daily.last(moment - timedelta(minutes=1)) < moment


@given(after=moments, at=times, zone=zones)
def test_there_is_one_backup_on_each_date(after: datetime, at: time, zone: ZoneInfo) -> None:
    daily, moment, dates = service.Daily(at, zone), after, []
    for _ in range(5):
        moment = daily.next(moment)
        dates.append(moment.astimezone(zone).date())
    assert len(set(dates)) == 5
    assert sorted(dates) == dates


@pytest.mark.parametrize(
    ("after", "at", "expected"),
    [
        # Berlin: from 02:00 to 03:00 on 29 March 2026, from 03:00 back to 02:00 on 25 October
        ("2026-03-28T12:00+00:00", "02:30", "2026-03-29T01:30+00:00"),
        ("2026-03-29T12:00+00:00", "02:30", "2026-03-30T00:30+00:00"),
        ("2026-10-24T12:00+00:00", "02:30", "2026-10-25T00:30+00:00"),
        ("2026-10-25T00:30+00:00", "02:30", "2026-10-26T01:30+00:00"),
    ],
)
def test_clocks_are_put_forward_and_back(after: str, at: str, expected: str) -> None:
    daily = service.Daily.parse(f"{at} Europe/Berlin")
    assert daily.next(datetime.fromisoformat(after)) == datetime.fromisoformat(expected)


def test_what_was_missed_is_made_up_for() -> None:
    daily = service.Daily.parse("03:30 Asia/Shanghai")  # 19:30 UTC
    now = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
    tonight = datetime(2026, 11, 24, 19, 30, tzinfo=UTC)
    assert service.due(daily, now, None, None, 0) == now  # never yet: at once, so that it shows whether it works
    assert service.due(daily, now, tonight - DAY + HOUR, None, 0) == tonight  # the last one was made
    assert service.due(daily, now, tonight - DAY - HOUR, None, 0) == now  # the machine was off
    assert service.due(daily, tonight, tonight - DAY + HOUR, None, 0) == tonight  # it is time


def test_a_failure_is_tried_again_later_and_less_and_less_often() -> None:
    daily = service.Daily.parse("03:30")
    failure = datetime(2026, 11, 24, 4, 0, tzinfo=UTC)
    pauses = [service.due(daily, failure, None, failure, failures) - failure for failures in range(1, 8)]
    assert pauses[0] == timedelta(minutes=15)
    assert pauses == sorted(pauses)
    assert pauses[-1] == timedelta(hours=4)
    assert service.due(daily, failure, failure + HOUR, failure, 3) == failure + 23.5 * HOUR  # one was made by hand
    late = datetime(2026, 11, 25, 3, 0, tzinfo=UTC)
    assert service.due(daily, late, None, late, 7) - late == timedelta(minutes=30)  # its usual time comes first


def test_the_service_is_ill_when_the_last_backup_is_two_days_old() -> None:
    now = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
    assert service.is_healthy(now, now - 1 * DAY, now - 9 * DAY)
    assert not service.is_healthy(now, now - 2 * DAY - HOUR, now - 9 * DAY)
    assert service.is_healthy(now, now - 9 * DAY, now - HOUR)  # it has just begun, and is at it
    assert service.is_healthy(now, None, now - DAY)  # the first one may take long
    assert not service.is_healthy(now, None, now - 3 * DAY)


@pytest.mark.parametrize(
    "value", ["3:30", "24:00", "03:60", "03:30 ", "03:30 Nowhere/City", "03:30 ../etc", "daily", "03:30:00"]
)
def test_a_time_that_is_none_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="must"):
        checks.daily(value)


@given(at=times, zone=st.sampled_from(ZONES))
def test_what_the_setting_takes_the_service_takes(at: time, zone: str) -> None:
    value = f"{at:%H:%M} {zone}"
    checks.daily(value)
    assert service.Daily.parse(value) == service.Daily(at, ZoneInfo(zone))


@given(
    policy=st.dictionaries(
        st.sampled_from(["last", "hourly", "daily", "weekly", "monthly", "yearly"]), st.integers(1, 9999), min_size=1
    )
)
def test_what_is_kept_is_told_to_restic_in_its_own_words(policy: dict[str, int]) -> None:
    value = ",".join(f"{unit}={count}" for unit, count in policy.items())
    checks.keep(value)
    words = retention.options(value)
    assert dict(zip(words[::2], words[1::2], strict=True)) == {f"--keep-{unit}": str(n) for unit, n in policy.items()}


# --- systemd and cron ----------------------------------------------------------------------------------------------


@pytest.fixture(params=["plain", 'with blanks, 100% $HOME \'n "quotes" and 笔记'])
def stack(tmp_path: Path, request: pytest.FixtureRequest) -> Stack:
    """A stack whose backups have somewhere to go."""
    directory = tmp_path / request.param
    init(directory, BACKUP_REPOSITORY="/srv/backups", BACKUP_PASSWORD="secret")
    return Stack.at(directory)


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `docker` that writes down its arguments, found first."""
    program, said = tmp_path / "bin/docker", tmp_path / "arguments"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\nprintf '%s\\n' \"$@\" >{shlex.quote(str(said))}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return said


def parts(shown: str) -> dict[str, str]:
    """The files that were printed, by path."""
    found = re.split(r"^# (/\S+)$", shown, flags=re.MULTILINE)
    return dict(zip(found[1::2], (text.strip() + "\n" for text in found[2::2]), strict=True))


def test_systemd_accepts_the_timer(stack: Stack, tmp_path: Path) -> None:
    done = stackgen("backup", "schedule", "--at", "04:05", "-C", stack.directory)
    assert done.returncode == 0, done.stderr
    files = {tmp_path / Path(path).name: text for path, text in parts(done.stdout).items()}
    assert [path.name for path in files] == ["stackgen-backup-stackgen.service", "stackgen-backup-stackgen.timer"]
    for path, text in files.items():
        path.write_text(text)
    checked = subprocess.run(["systemd-analyze", "verify", *files], capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")
    service, timer = files.values()
    assert "OnCalendar=*-*-* 04:05:00\nPersistent=true\n" in timer
    assert "secret" not in done.stdout
    # each word as systemd.service(5) reads it back
    [command] = re.findall(r"^ExecStart=(.*)$", service, flags=re.MULTILINE)
    words = [word.replace("%%", "%").replace("$$", "$") for word in shlex.split(command)]
    assert words[words.index("--project-directory") + 1] == str(stack.directory)
    assert words[-2:] == ["backup", "run"]


def test_crons_line_runs_a_backup_of_this_directory(stack: Stack, docker: Path) -> None:
    done = stackgen("backup", "schedule", "--cron", "--at", "04:05", "--user", "ada", "-C", stack.directory)
    assert done.returncode == 0, done.stderr
    [(path, text)] = parts(done.stdout).items()
    assert re.fullmatch(r"/etc/cron\.d/[A-Za-z0-9_-]+", path)  # cron ignores other names
    minute, hour, *stars, user, command = text.splitlines()[-1].split(" ", 6)
    assert (minute, hour, stars, user) == ("5", "4", ["*", "*", "*"], "ada")
    assert not re.search(r"(?<!\\)%", command)
    # what cron hands to the shell
    subprocess.run(["sh", "-c", command.replace(r"\%", "%").partition(" 2>&1 |")[0]], check=True)
    words = docker.read_text().splitlines()
    assert words[words.index("--project-directory") + 1] == str(stack.directory)
    assert words[-2:] == ["backup", "run"]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in place of /etc. The test runs where no systemd does, so cron's folder is what there is."""
    monkeypatch.setattr(schedule, "SYSTEMD", tmp_path / "systemd")
    monkeypatch.setattr(schedule, "CRON", tmp_path / "cron.d")
    monkeypatch.setattr(schedule, "has_systemd", lambda: False)
    monkeypatch.setattr(schedule, "has_cron", lambda: (tmp_path / "cron.d").is_dir())
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    return tmp_path


def test_cron_is_installed_and_taken_away_again(stack: Stack, machine: Path) -> None:
    (machine / "cron.d").mkdir()
    planned = schedule.plan(stack, "04:05", "root")
    schedule.install(planned, cron=False)
    schedule.install(planned, cron=False)
    [file] = (machine / "cron.d").iterdir()
    assert file.read_text() == planned.crontab()[file]
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    with pytest.raises(schedule.StackgenError, match="does it already"):
        schedule.serve(planned, "UTC")
    schedule.remove(stack)
    assert list((machine / "cron.d").iterdir()) == []


def test_systemds_timer_is_enabled_and_disabled(stack: Stack, machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """systemd itself is not here: what it is told is what counts."""
    (machine / "systemd").mkdir()
    told: list[list[str]] = []
    monkeypatch.setattr(schedule, "has_systemd", lambda: True)
    monkeypatch.setattr(schedule.process, "run", told.append)
    planned = schedule.plan(stack, "04:05", "root")
    schedule.install(planned, cron=False)
    assert {path.name for path in (machine / "systemd").iterdir()} == {path.name for path in planned.units()}
    schedule.remove(stack)
    assert list((machine / "systemd").iterdir()) == []
    timer = "stackgen-backup-stackgen.timer"
    reload = ["systemctl", "daemon-reload"]
    assert told == [reload, ["systemctl", "enable", "--now", timer], ["systemctl", "disable", "--now", timer], reload]


def test_without_either_the_stack_does_it_by_itself(stack: Stack, machine: Path) -> None:
    planned = schedule.plan(stack, "04:05", "root")
    with pytest.raises(schedule.StackgenError, match="neither systemd nor cron") as caught:
        schedule.install(planned, cron=False)
    assert "--service" in caught.value.problems[0].hint
    schedule.serve(planned, "Asia/Shanghai")
    assert Stack.at(stack.directory).settings["BACKUP_SCHEDULE"] == "04:05 Asia/Shanghai"
    with pytest.raises(schedule.StackgenError, match="own service"):
        (machine / "cron.d").mkdir()
        schedule.install(schedule.plan(Stack.at(stack.directory), "04:05", "root"), cron=True)
    schedule.remove(Stack.at(stack.directory))
    assert Stack.at(stack.directory).settings["BACKUP_SCHEDULE"] == ""


def test_what_cannot_be_scheduled_is_refused(tmp_path: Path) -> None:
    init(tmp_path / "stack")
    done = stackgen("backup", "schedule", "-C", tmp_path / "stack")
    assert (done.returncode, problems(done.stderr)) == (
        5, [("there is no repository for backups yet", "stackgen backup init")],
    )  # fmt: skip
    init(tmp_path / "other", BACKUP_REPOSITORY="/srv/backups", BACKUP_PASSWORD="secret")
    for words in (["--at", "25:00"], ["--user", "a b"], ["--install", "--service"]):
        done = stackgen("backup", "schedule", *words, "-C", tmp_path / "other")
        assert done.returncode == 2
        assert done.stdout == ""
