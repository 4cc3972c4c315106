"""What an operator does with people: add, import, let in, block, remove. The hub decides; this asks it."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from stackgen import names, roster
from stackgen.confirmation import confirm
from stackgen.engine import Engine
from stackgen.errors import USAGE, Problem, StackgenError
from stackgen.hubapi import Hub, Person, Refused
from stackgen.output import result, say
from stackgen.passwords import generated_password
from stackgen.removal import destroy, last_backup
from stackgen.roster import Entry, Roster
from stackgen.settings import Settings
from stackgen.stack import Stack
from stackgen.units import minute

HEADER = ("user", "state", "admin", "groups", "e-mail", "last activity (UTC)", "server")


def row(person: Person) -> list[str]:
    """A person for people, under HEADER."""
    return [
        person.name,
        person.state,
        "admin" if person.admin else "",
        ", ".join(person.groups),
        person.email,
        minute(person.last_activity),
        "running" if person.running else "",
    ]


def checked_name(settings: Settings, name: str) -> str:
    """A user name as the hub writes it. Raises StackgenError for one that nobody can have."""
    return checked_entry(settings, name).name


def checked_entry(settings: Settings, name: str, groups: Iterable[str] = (), email: str = "") -> Entry:
    """Somebody named on the command line. Raises StackgenError with all that is wrong."""
    try:
        return roster.entry(name, "", groups, email, passwords=False, volume_prefix=settings["VOLUME_PREFIX"])
    except ValueError as error:
        raise StackgenError([Problem(reason) for reason in error.args], exit_code=USAGE) from None


def known_person(hub: Hub, name: str) -> Person:
    """Somebody whom the hub knows. Raises StackgenError if it does not."""
    person = hub.person(name)
    if not person:
        raise StackgenError(f"there is no user {name}", "see: stackgen users list")
    return person


@dataclass(frozen=True)
class Plan:
    """What adding people comes to: whom to send to the hub, and what will become of each."""

    entries: list[Entry]
    new: list[str]
    existing: list[str]
    signed_up: list[str]  # those of the new whose account waits, with a password that may be a stranger's

    @property
    def generated(self) -> list[Entry]:
        """Those whose password was made here, so that it must be kept for them."""
        return [entry for entry in self.entries if entry.generated]


def plan(entries: Sequence[Entry], known: Iterable[Person], *, passwords: bool) -> Plan:
    """Who of these is new. Where the login has passwords, everybody gets one who has none; the others keep theirs.

    Whoever signed up and was not let in has none, so that nobody gets a place on a roster by signing up under a name.
    """
    known = list(known)
    there = {person.name for person in known if (person.account if passwords else person.state != "by provider")}
    waiting = {person.name for person in known if person.state == "waiting"}
    return Plan(
        entries=[_with_password(entry, there) if passwords else entry for entry in entries],
        new=[entry.name for entry in entries if entry.name not in there],
        existing=[entry.name for entry in entries if entry.name in there],
        signed_up=[entry.name for entry in entries if entry.name in waiting],
    )


def _with_password(entry: Entry, there: set[str]) -> Entry:
    if entry.name in there:
        return replace(entry, password="")
    return entry if entry.password else replace(entry, password=generated_password(), generated=True)


def read_roster(path: Path, settings: Settings, *, skip_bad: bool) -> Roster:
    """The people in a file. Raises StackgenError with each bad line, unless they are to be skipped."""
    say(f"reading {path}")
    with path.open("rb") as file:
        content = file.read(roster.LARGEST + 1)
    try:
        found = roster.read(content, passwords=settings.login.passwords, volume_prefix=settings["VOLUME_PREFIX"])
    except StackgenError as error:
        problems = [Problem(f"{path}: {problem.message}", problem.hint) for problem in error.problems]
        raise StackgenError(problems) from None
    if found.encoding != "UTF-8":
        say(f"{path} is read as {found.encoding}")
    problems = [Problem(f"{path} line {line.number}: {line.reason}") for line in found.bad]
    if problems and not (skip_bad and found.entries):
        way_out = "" if skip_bad else ", or leave them out with --skip-bad"
        raise StackgenError([*problems, Problem("nobody was imported", f"mend the lines{way_out}")])
    for problem in problems:
        say(f"skipped: {problem.message}")
    grouped = sum(bool(entry.groups) for entry in found.entries)
    if grouped and groups_are_the_providers(settings):
        say(f"the groups of {grouped} people are left out: with AUTH={settings['AUTH']} groups are the provider's")
        return replace(found, entries=[replace(entry, groups=()) for entry in found.entries])
    return found


def groups_are_the_providers(settings: Settings) -> bool:
    """Whether every login sets a user's groups anew, so that none can be noted at the hub."""
    return "GROUPS_CLAIM" in settings.login.takes


def add(hub: Hub, planned: Plan, file: Path | None) -> None:
    """Add people, all or none. Passwords made here are in `file`, a new one, before the hub knows them, or printed.

    They are printed when the hub has taken them. If it refuses, the file is gone again. So an interrupted command
    leaves no account whose password nobody knows, and a refused one no password that opens nothing.
    """
    generated = planned.generated
    if generated and file:
        write_private(file, roster.write(generated))
        say(f"the passwords of {len(generated)} new accounts are in {file}, which only you can read")
    if len(planned.entries) > 1:
        say(f"adding {len(planned.entries)} people")
    try:
        created = hub.add_people(planned.entries)
    except Refused:
        if generated and file:
            file.unlink()
            say(f"nobody was added, and {file} is removed again")
        raise
    except BaseException:
        if generated:
            if not file:
                _print_passwords(generated)
            say("the hub may have taken these passwords or not; whoever has none yet gets one if you do this again")
        raise
    if not file:
        _print_passwords([entry for entry in generated if entry.name in created])
    for name in planned.signed_up:
        say(f"{name} had signed up: the account has another password now, and is let in")
    for entry in generated:
        if entry.name not in created:
            say(f"warning: {entry.name} got another password meanwhile, which holds")


def _print_passwords(generated: Sequence[Entry]) -> None:
    if generated:
        result("\n".join(f"{entry.name},{entry.password}" for entry in generated))


def write_private(path: Path, text: str) -> None:
    """Write a new file that only its owner can read; in UTF-8 with a byte order mark, without which Excel guesses.

    Raises StackgenError if there is such a file.
    """
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise StackgenError(f"{path} is there already, and is not overwritten", "name another file", USAGE) from None
    try:
        with os.fdopen(handle, "w", encoding="utf-8-sig", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        path.unlink()
        raise


def exported(people: Iterable[Person]) -> str:
    """A roster of everybody who may log in; passwords cannot be known. Says who is left out.

    Those whom a provider's rules let in are left out too: an import would let them in by name, whatever the rules say.
    """
    kept, by_provider = [], 0
    for person in people:
        entry = Entry(person.name, groups=person.groups, email=person.email)
        if person.state == "by provider":
            by_provider += 1
        elif person.state in ("waiting", "blocked", "no password"):
            say(f"left out: {person.name} ({person.state})")
        elif not roster.holds(entry):
            say(f"left out: {person.name} (no roster can hold this name, these groups or this e-mail address)")
        else:
            kept.append(entry)
    if by_provider:
        say(f"left out: {by_provider} people for whom the provider's groups or ALLOW_ALL decide at each login")
    return roster.write(kept)


def set_rule(settings: Settings, hub: Hub, wanted: Iterable[str], rule: str) -> list[Person]:
    """Allow or block people; how each of them stands then.

    A provider's people may be named before they ever come; where stackgen manages the accounts, an unknown name is a
    mistyped one, and then nobody is changed.
    """
    checked = [checked_name(settings, name) for name in wanted]
    if settings.login.passwords:
        for name in checked:
            known_person(hub, name)
    return [hub.change(name, rule=rule) for name in checked]


def remove(settings: Settings, engine: Engine, hub: Hub, name: str, *, volume: bool) -> bool:
    """Stop the user's server and remove the user; with `volume` the volume too. False if the hub knew no such user.

    No backup is made: see remove_people. May be repeated: what is gone already is passed over.
    """
    known = hub.remove_user(name)
    engine.remove_container(f"{settings['STACK_NAME']}-{names.escaped(name)}")
    if volume:
        engine.remove_volume(names.volume_name(settings["VOLUME_PREFIX"], name))
    return known


def remove_people(
    stack: Stack, engine: Engine, hub: Hub, wanted: Iterable[str], *, volume: bool, yes: bool, backup: bool
) -> None:
    """Remove users and say what becomes of their volumes, which are kept unless `volume` is set.

    Before a volume is destroyed its user's name must be typed, unless `yes` is set, and with `backup` a last backup is
    made. Raises StackgenError before anything is removed if one of them is an admin of .env, with every volume as it
    was if the backup fails, and at the end if there was nothing of some to remove.
    """
    settings = stack.settings
    checked = list(dict.fromkeys(checked_name(settings, name) for name in wanted))
    for name in checked:
        if name in settings.admins:
            raise StackgenError(f"{name} is an admin", f"first: stackgen remove-admin {name}")
    volumes = {name: _volume_of(settings, engine, name) for name in checked}
    destroyed = {name: its for name, its in volumes.items() if its and volume}
    for name, its in destroyed.items():
        confirm(f"The volume {its} holds all files of {name}, and is destroyed", name, yes=yes)
    missing = []
    for name in checked:
        known = remove(settings, engine, hub, name, volume=False)
        if not known and name not in destroyed:
            missing.append(Problem(f"there is no user {name}", "see: stackgen users list, stackgen volumes list"))
        elif not volumes[name]:
            say(f"{name} is removed; there was no volume")
        elif not volume:
            say(f"{name} is removed; the volume {volumes[name]} is kept, for whoever has this name next")
    if backup:
        last_backup(stack, engine, list(destroyed.values()))
    for name, its in destroyed.items():
        destroy(settings, engine, its)
        say(f"{name} is removed, and the volume {its} is destroyed")
    if missing:
        raise StackgenError(missing)


def _volume_of(settings: Settings, engine: Engine, name: str) -> str:
    """The name of a user's volume, empty if there is none."""
    volume = names.volume_name(settings["VOLUME_PREFIX"], name)
    return volume if engine.volume(volume) else ""
