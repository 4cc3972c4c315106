"""The users' volumes: whose they are, how large, when used last, and whether a server runs on them."""

from dataclasses import asdict, dataclass
from typing import Any

from stackgen import names
from stackgen.engine import STACK_LABEL, USER_LABEL, Engine
from stackgen.errors import StackgenError
from stackgen.hubapi import Hub, User
from stackgen.output import say, size
from stackgen.settings import Settings


@dataclass(frozen=True)
class UserVolume:
    """One volume. `size` in bytes, -1 if unknown; `last_use` is ISO 8601, or empty if unknown."""

    name: str
    owner: str
    size: int
    last_use: str
    running: bool

    def row(self) -> list[str]:
        """The volume for people."""
        last = self.last_use[:16].replace("T", " ") or "unknown"
        used = size(self.size) if self.size >= 0 else "unknown"
        return [self.owner, self.name, used, last, "running" if self.running else "stopped"]

    def data(self) -> dict[str, Any]:
        """The volume for programs."""
        return asdict(self)


HEADER = ("user", "volume", "size", "last use (UTC)", "server")


def known_users(settings: Settings, engine: Engine) -> list[User]:
    """The hub's users; none if it cannot be asked."""
    try:
        return Hub.of(settings, engine).users()
    except StackgenError as error:
        say(f"the last use is unknown: {error}")
        return []


def user_volumes(settings: Settings, engine: Engine, users: list[User]) -> list[UserVolume]:
    """Every volume with this stack's prefix, by owner. `users` are the hub's, empty if it is down.

    The owner is what the volume's label says, or, in a volume of an older deployment, what its name says.
    """
    prefix = settings["VOLUME_PREFIX"]
    servers = engine.user_servers(settings["STACK_NAME"])
    in_use = {volume for server in servers if server.state == "running" for volume in server.volumes}
    last_use = {user.name: user.last_activity for user in users}
    found = []
    for volume in engine.volumes_with_sizes():
        owner = names.volume_owner(prefix, volume.name)
        if volume.labels.get(STACK_LABEL, settings["STACK_NAME"]) != settings["STACK_NAME"] or owner is None:
            continue
        owner = volume.labels.get(USER_LABEL, owner)
        found.append(UserVolume(volume.name, owner, volume.size, last_use.get(owner, ""), volume.name in in_use))
    return sorted(found, key=lambda volume: volume.owner)
