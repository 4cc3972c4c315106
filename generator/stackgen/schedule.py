"""Backups each day: a timer of systemd, a line for cron, or a service of the stack."""

import os
import re
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path

from stackgen import checks, compose, process
from stackgen.apply import write
from stackgen.errors import CONFLICT, MACHINE, SETTINGS, USAGE, StackgenError
from stackgen.output import say
from stackgen.stack import Stack

SYSTEMD, CRON = Path("/etc/systemd/system"), Path("/etc/cron.d")
USUAL_TIME = "03:30"


@dataclass(frozen=True)
class Schedule:
    """When a stack is backed up, by which user of the machine, and by which `docker`."""

    stack: Stack
    at: str  # HH:MM, in the machine's time zone
    user: str = "root"
    docker: str = "docker"

    @property
    def name(self) -> str:
        """What the files are called."""
        return f"stackgen-backup-{self.stack.settings['STACK_NAME']}"

    @property
    def command(self) -> list[str]:
        """What is run. It needs no stackgen, whose virtual environment may be gone one day."""
        return [self.docker, *compose.backup(self.stack.directory, "run")[1:]]

    def units(self) -> dict[Path, str]:
        """A service and a timer of systemd; the timer makes up for what was missed while the machine was off."""
        settings = self.stack.settings
        service = f"""\
[Unit]
Description=Backup of the stack {settings["STACK_NAME"]} ({settings.url})
Requires=docker.service
After=docker.service network-online.target
Wants=network-online.target

[Service]
Type=oneshot
User={self.user}
ExecStart={" ".join(systemd_word(word) for word in self.command)}
"""
        timer = f"""\
[Unit]
Description=Backup of the stack {settings["STACK_NAME"]}, each day

[Timer]
OnCalendar=*-*-* {self.at}:00
Persistent=true

[Install]
WantedBy=timers.target
"""
        return {SYSTEMD / f"{self.name}.service": service, SYSTEMD / f"{self.name}.timer": timer}

    def crontab(self) -> dict[Path, str]:
        """A file for /etc/cron.d. What the backup says goes to the system's log."""
        hour, minute = self.at.split(":")
        # cron ends a command at the first bare %, whatever quotes are around it
        command = shlex.join(self.command).replace("%", r"\%")
        line = f"{int(minute)} {int(hour)} * * * {self.user} {command} 2>&1 | logger --tag {self.name}"
        return {CRON / self.name: f"# Backup of the stack {self.stack.settings['STACK_NAME']}, each day\n{line}\n"}


def systemd_word(word: str) -> str:
    """One word of ExecStart=, as systemd.service(5) takes it: quotes, specifiers (%) and variables ($) mean nothing."""
    if re.fullmatch(r"[A-Za-z0-9_./=:-]+", word):
        return word
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"'


def plan(stack: Stack, at: str, user: str) -> Schedule:
    """The schedule for this stack. Raises StackgenError if there is no repository, or for a time that is none."""
    if not stack.settings["BACKUP_REPOSITORY"]:
        raise StackgenError("there is no repository for backups yet", "stackgen backup init", SETTINGS)
    if not re.fullmatch(checks.TIME_OF_DAY, at):
        raise StackgenError(f"--at {at} is no time of the day", f"such as {USUAL_TIME}", USAGE)
    if not re.fullmatch(r"[a-z_][a-z0-9_-]*", user):
        raise StackgenError(f"--user {user} is no user's name", "a user of this machine who may use docker", USAGE)
    if not str(stack.directory).isprintable():
        raise StackgenError(f"{str(stack.directory)!r} cannot be written into a unit or crontab", "rename it", USAGE)
    return Schedule(stack, at, user, shutil.which("docker") or "docker")


def install(schedule: Schedule, *, cron: bool) -> None:
    """Write the files and let them take effect: cron's, or those of what the machine has. Raises StackgenError."""
    if schedule.stack.settings["BACKUP_SCHEDULE"]:
        raise StackgenError(
            "the stack's own service backs up already, because .env has BACKUP_SCHEDULE",
            "stackgen backup schedule --remove ends that",
            CONFLICT,
        )
    if not (has_cron() if cron else has_systemd() or has_cron()):
        raise StackgenError(
            "cron is not installed" if cron else "neither systemd nor cron runs here",
            "stackgen backup schedule --service lets the stack do it by itself",
            MACHINE,
        )
    files = schedule.crontab() if cron or not has_systemd() else schedule.units()
    _as_root()
    for path, text in files.items():
        write(path, text.encode())
        say(f"wrote {path}")
    if SYSTEMD / f"{schedule.name}.timer" in files:
        process.run(["systemctl", "daemon-reload"])
        process.run(["systemctl", "enable", "--now", f"{schedule.name}.timer"])
    say(f"backs up each day at {schedule.at}; to try it now: stackgen backup run")


def serve(schedule: Schedule, zone: str) -> None:
    """Let a service of the stack do it, from the next `up` on. Raises StackgenError if something does it already."""
    if there := _installed(schedule.name):
        raise StackgenError(f"{there[0]} does it already", "stackgen backup schedule --remove ends that", CONFLICT)
    value = f"{schedule.at} {zone}" if zone != "UTC" else schedule.at
    schedule.stack.store(BACKUP_SCHEDULE=value)
    say(f"BACKUP_SCHEDULE={value} is in .env; takes effect with: stackgen up")


def remove(stack: Stack) -> None:
    """Take away whatever backs the stack up each day. Raises StackgenError where only root may."""
    name = Schedule(stack, USUAL_TIME).name
    if there := _installed(name):
        _as_root()
        if SYSTEMD / f"{name}.timer" in there and has_systemd():
            process.run(["systemctl", "disable", "--now", f"{name}.timer"])
        for path in there:
            path.unlink()
            say(f"removed {path}")
        if has_systemd():
            process.run(["systemctl", "daemon-reload"])
    if stack.settings["BACKUP_SCHEDULE"]:
        stack.store(BACKUP_SCHEDULE="")
        say("BACKUP_SCHEDULE is empty in .env; takes effect with: stackgen up")
    elif not there:
        say("there is no schedule")


def time_zone() -> str:
    """The name of the machine's time zone, UTC if it has none."""
    target = os.path.realpath("/etc/localtime")
    name = target.partition("/zoneinfo/")[2]
    return name if name and name not in ("Etc/UTC", "UTC", "Etc/Universal", "Zulu") else "UTC"


def has_systemd() -> bool:
    """Whether systemd runs this machine."""
    return Path("/run/systemd/system").is_dir()


def has_cron() -> bool:
    """Whether this machine has a cron that reads /etc/cron.d."""
    folders = "/usr/sbin:/usr/bin:/sbin:/bin"
    return CRON.is_dir() and any(shutil.which(name, path=folders) for name in ("cron", "crond"))


def _installed(name: str) -> list[Path]:
    places = (SYSTEMD / f"{name}.timer", SYSTEMD / f"{name}.service", CRON / name)
    return [path for path in places if path.exists()]


def _as_root() -> None:
    if os.geteuid() != 0:
        raise StackgenError("only root may change that", "run the same with sudo", MACHINE)
