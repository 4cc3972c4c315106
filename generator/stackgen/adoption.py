"""Volumes from a deployment made by hand: found by name, used as they are, and mended where that is needed.

The engine cannot label a volume that exists, so these stay without labels for ever; their names say whose they are.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from stackgen import inside, people
from stackgen.engine import STACK_LABEL, Engine
from stackgen.errors import CONFLICT, Problem, StackgenError
from stackgen.hubapi import Person
from stackgen.output import say
from stackgen.people import Plan
from stackgen.roster import Entry
from stackgen.settings import Settings
from stackgen.units import size
from stackgen.volumes import user_volumes


@dataclass(frozen=True)
class Adoptable:
    """A volume without labels whose name leads to a user.

    `size` in bytes, `foreign` the number of files that a user's server could not write, because they are another's;
    `in_use_by` the running containers of somebody else, `known` whether the hub knows the user, None if it cannot tell.
    """

    volume: str
    user: str
    size: int
    files: int
    foreign: int
    in_use_by: tuple[str, ...]
    known: bool | None

    def row(self) -> list[str]:
        """The volume for people."""
        words = [
            f"files of others: {self.foreign}" * bool(self.foreign),
            *(f"used by {name}" for name in self.in_use_by),
        ]
        known = {True: "known", False: "unknown", None: "?"}[self.known]
        return [
            self.user,
            self.volume,
            size(self.size),
            str(self.files),
            known,
            ", ".join(filter(None, words)) or "ready",
        ]

    def data(self) -> dict[str, Any]:
        """The volume for programs."""
        return asdict(self)


HEADER = ("user", "volume", "size", "files", "at the hub", "state")


def adoptable(settings: Settings, engine: Engine, known: Iterable[Person] | None) -> list[Adoptable]:
    """Every volume without labels that has this stack's prefix, measured; by user."""
    found = [volume for volume in user_volumes(settings, engine, known, engine.volumes()) if volume.adopted]
    measured = inside.look(settings, engine, [volume.name for volume in found], "measure")
    return [
        Adoptable(
            volume=volume.name,
            user=volume.owner,
            size=measured[volume.name]["bytes"],
            files=measured[volume.name]["files"],
            foreign=measured[volume.name]["foreign"],
            in_use_by=tuple(_strangers(settings, engine, volume.name)),
            known=volume.known,
        )
        for volume in found
    ]


def _strangers(settings: Settings, engine: Engine, volume: str) -> list[str]:
    return [
        container.name
        for container in engine.users_of_volume(volume)
        if container.state == "running" and container.labels.get(STACK_LABEL) != settings["STACK_NAME"]
    ]


def check_free(found: Iterable[Adoptable]) -> None:
    """Raises StackgenError if a container of somebody else still runs on a volume: two would write into it."""
    problems = [
        Problem(f"the container {name}, which is not this stack's, runs on {volume.volume}", f"docker stop {name}")
        for volume in found
        for name in volume.in_use_by
    ]
    if problems:
        raise StackgenError(problems, exit_code=CONFLICT)


def check_free_to_copy(settings: Settings, engine: Engine, volume: str) -> None:
    """Raises StackgenError if a container of somebody else still writes into a volume that is to be copied."""
    for name in _strangers(settings, engine, volume):
        raise StackgenError(f"the container {name} runs on {volume}", f"docker stop {name}", CONFLICT)


def mend(settings: Settings, engine: Engine, found: Iterable[Adoptable]) -> None:
    """Give the files of others to the users' servers, with their modes as they are. May be repeated."""
    for volume in found:
        if volume.foreign:
            changed = inside.run(settings, engine, {"/volume": volume.volume}, "give", may=inside.WRITE)
            say(f"{volume.volume}: {changed} files and folders given to the user's server")


def new_people(settings: Settings, found: Iterable[Adoptable], known: Sequence[Person]) -> Plan:
    """The plan that adds the owners whom the hub does not know, with generated passwords where the login has some.

    Says who is left out, because nobody can have such a name.
    """
    there = {person.name for person in known}
    entries: list[Entry] = []
    for volume in found:
        if volume.user not in there:
            try:
                entries.append(people.checked_entry(settings, volume.user))
            except StackgenError as error:
                say(f"left out: {error}")
    return people.plan(entries, known, passwords=settings.login.passwords)
