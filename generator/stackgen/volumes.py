"""The users' volumes: whose they are, how large, when used last, and whether a server runs on them."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from typing import Any

from stackgen import names
from stackgen.checks import memory_bytes
from stackgen.engine import STACK_LABEL, USER_LABEL, Engine, Volume
from stackgen.errors import StackgenError
from stackgen.hubapi import Hub, Person
from stackgen.output import say
from stackgen.settings import Settings
from stackgen.units import minute, size


@dataclass(frozen=True)
class UserVolume:
    """One volume. `size` in bytes, -1 if unknown; `last_use` is ISO 8601, or empty if unknown.

    `known` tells whether the hub knows the owner, None if it could not be asked. `adopted`: the volume has no labels,
    because an older deployment made it.
    """

    name: str
    owner: str
    size: int
    last_use: str
    running: bool
    known: bool | None
    adopted: bool

    @property
    def state(self) -> str:
        """How it stands, in words."""
        words = [
            "running" if self.running else "stopped",
            "user gone" * (self.known is False),
            "adopted" * self.adopted,
        ]
        return ", ".join(filter(None, words))

    def row(self) -> list[str]:
        """The volume for people."""
        last = minute(self.last_use) or "unknown"
        used = size(self.size) if self.size >= 0 else "unknown"
        return [self.owner, self.name, used, last, self.state]

    def data(self) -> dict[str, Any]:
        """The volume for programs."""
        return asdict(self)


HEADER = ("user", "volume", "size", "last use (UTC)", "state")


def known_people(settings: Settings, engine: Engine) -> list[Person] | None:
    """Everybody whom the hub knows; None if it cannot be asked, which is said."""
    try:
        return Hub.of(settings, engine).people()
    except StackgenError as error:
        say(f"who is gone, and the last use, are unknown: {error}")
        return None


def owner_of(settings: Settings, volume: Volume) -> str | None:
    """Whose volume of this stack it is; None for one of another stack, or of no user.

    The owner is what the volume's label says, or, in a volume of an older deployment, what its name says.
    """
    owner = names.volume_owner(settings["VOLUME_PREFIX"], volume.name)
    if owner is None or volume.labels.get(STACK_LABEL, settings["STACK_NAME"]) != settings["STACK_NAME"]:
        return None
    return volume.labels.get(USER_LABEL, owner)


def user_volumes(
    settings: Settings, engine: Engine, people: Iterable[Person] | None, volumes: Iterable[Volume] | None = None
) -> list[UserVolume]:
    """Every user's volume, by owner; all are measured unless `volumes` are given. `people` are those of the hub."""
    servers = engine.user_servers(settings["STACK_NAME"])
    in_use = {volume for server in servers if server.state == "running" for volume in server.volumes}
    last_use = {person.name: person.last_activity for person in people or ()}
    found = []
    for volume in engine.volumes_with_sizes() if volumes is None else volumes:
        if owner := owner_of(settings, volume):
            found.append(
                UserVolume(
                    name=volume.name,
                    owner=owner,
                    size=volume.size,
                    last_use=last_use.get(owner, ""),
                    running=volume.name in in_use,
                    known=None if people is None else owner in last_use,
                    adopted=STACK_LABEL not in volume.labels,
                )
            )
    return sorted(found, key=lambda volume: volume.owner)


def find(settings: Settings, engine: Engine, name: str) -> tuple[Volume, str]:
    """A user's volume and its owner, by the user's name or the volume's. Raises StackgenError if there is none."""
    for candidate in (volume_of(settings, name), name):
        volume = engine.volume(candidate) if candidate else None
        if volume and (owner := owner_of(settings, volume)):
            return volume, owner
    raise StackgenError(f"there is no volume of a user {name}", "see: stackgen volumes list")


def volume_of(settings: Settings, name: str) -> str:
    """What the volume of a user is called, whether there is one or not; empty if nobody can have this name."""
    try:
        return names.volume_name(settings["VOLUME_PREFIX"], names.user_name(name))
    except ValueError:
        return ""


def labels_for(settings: Settings, owner: str) -> dict[str, str]:
    """The labels of a user's volume, as the hub gives them at a server's first start."""
    return {STACK_LABEL: settings["STACK_NAME"], USER_LABEL: owner}


@contextmanager
def to_fill(settings: Settings, engine: Engine, owner: str) -> Iterator[str]:
    """The name of a user's volume, which is created if there is none. Raises StackgenError for one of another stack."""
    name = volume_of(settings, owner)
    with new_or_there(engine, name, labels_for(settings, owner), quota(settings)):
        _, found = find(settings, engine, owner)
        if found != owner:
            raise StackgenError(f"the volume {name} belongs to {found}")
        yield name


@contextmanager
def new_or_there(engine: Engine, name: str, labels: Mapping[str, str], size: int = 0) -> Iterator[None]:
    """A volume to be filled: if it is created for this, with at most `size` bytes, and that fails, it is gone again."""
    if engine.volume(name):
        yield
        return
    engine.create_volume(name, labels, size)
    say(f"the volume {name} is new")
    try:
        yield
    except BaseException:
        with suppress(StackgenError):  # a server has it by now
            engine.remove_volume(name)
        raise


def quota(settings: Mapping[str, str]) -> int:
    """VOLUME_QUOTA in bytes, 0 for none."""
    return memory_bytes(settings["VOLUME_QUOTA"]) if settings["VOLUME_QUOTA"] else 0
