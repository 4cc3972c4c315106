"""How the stack is: its services, its users' servers, its address."""

from dataclasses import asdict, dataclass
from typing import Any

from stackgen.engine import USER_LABEL, Container, Engine
from stackgen.output import table
from stackgen.settings import Settings
from stackgen.units import size
from stackgen.volumes import quota, user_volumes


@dataclass(frozen=True)
class Status:
    """`services` has a word for each: healthy, starting, unhealthy, proved, failed, stopped, missing."""

    url: str
    services: dict[str, str]
    servers: int  # users' servers that run
    outdated: list[str]  # the users whose servers run another image than the one that new servers get
    above_quota: dict[str, int]  # users whose volumes hold more than VOLUME_QUOTA, and the bytes

    @property
    def healthy(self) -> bool:
        """Whether users can work."""
        return self.services["nginx"] == "healthy" and self.services["hub"] == "healthy"

    def text(self) -> str:
        """The status for people."""
        rows = [[name, word] for name, word in self.services.items()]
        lines = [self.url, "", table(("service", "state"), rows), "", f"users' servers running: {self.servers}"]
        if self.outdated:
            lines.append(f"on an older image until their next start: {', '.join(self.outdated)}")
        lines += [f"above VOLUME_QUOTA: {name} ({size(used)})" for name, used in self.above_quota.items()]
        return "\n".join(lines)

    def data(self) -> dict[str, Any]:
        """The status for programs."""
        return {**asdict(self), "healthy": self.healthy}


def status(settings: Settings, engine: Engine) -> Status:
    """Ask the engine; the hub itself is not asked, so this works however ill it is.

    With VOLUME_QUOTA the engine measures every volume, which takes its time.
    """
    containers = engine.services(settings["STACK_NAME"])
    servers = [server for server in engine.user_servers(settings["STACK_NAME"]) if server.state == "running"]
    image = engine.image_id(settings.sage_image)
    return Status(
        url=settings.url,
        services={name: _word(name, containers.get(name)) for name in settings.services},
        servers=len(servers),
        outdated=sorted(server.labels[USER_LABEL] for server in servers if image and server.image_id != image),
        above_quota=_above_quota(settings, engine),
    )


def _above_quota(settings: Settings, engine: Engine) -> dict[str, int]:
    if not (limit := quota(settings)):
        return {}
    volumes = user_volumes(settings, engine, None)
    return {volume.owner: volume.size for volume in volumes if volume.size > limit}


def _word(service: str, container: Container | None) -> str:
    if not container:
        return "missing"
    if service == "sage" and container.state == "exited":
        return "proved" if container.exit_code == 0 else f"failed (exit code {container.exit_code})"
    if container.state == "running":
        return container.health or "running"
    return "stopped" if container.state == "exited" else container.state
