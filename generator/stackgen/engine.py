"""The Docker engine, through its SDK: containers, volumes, networks."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from stackgen.errors import MACHINE, StackgenError
from stackgen.process import run

if TYPE_CHECKING:
    import docker

STACK_LABEL = "stackgen.stack"
USER_LABEL = "stackgen.user"
PROJECT_LABEL = "com.docker.compose.project"
ONEOFF_LABEL = "com.docker.compose.oneoff"
SERVICE_LABEL = "com.docker.compose.service"
DIRECTORY_LABEL = "com.docker.compose.project.working_dir"


@dataclass(frozen=True)
class Container:
    """What stackgen wants to know of a container."""

    name: str
    state: str  # created, running, exited, ...
    health: str  # healthy, unhealthy, starting, or empty
    image: str
    image_id: str
    labels: dict[str, str]
    ports: frozenset[int]  # of this machine
    exit_code: int
    environment: dict[str, str]
    volumes: frozenset[str]


@dataclass(frozen=True)
class Volume:
    """A named volume; the size in bytes, or -1 where the engine does not say."""

    name: str
    labels: dict[str, str]
    size: int = -1
    options: dict[str, str] = field(default_factory=dict)  # of the engine's local driver


class Engine:
    """The engine that `docker` on the command line talks to. Nothing is asked before the first use."""

    @cached_property
    def client(self) -> "docker.DockerClient":
        """The SDK's client. Raises StackgenError if the engine cannot be reached."""
        import docker
        from docker.errors import DockerException

        try:
            return docker.DockerClient(base_url=_endpoint(), timeout=120)
        except DockerException as error:
            raise unreachable(str(error)) from None

    def containers(self, labels: Mapping[str, str] | None = None) -> list[Container]:
        """Containers with all these labels, running or not."""
        filters = [f"{key}={value}" for key, value in (labels or {}).items()]
        found = self.client.containers.list(all=True, filters={"label": filters}, ignore_removed=True)
        return [_container(item.attrs) for item in found]

    def services(self, project: str) -> dict[str, Container]:
        """The containers of a Compose project by service."""
        found = self.containers({PROJECT_LABEL: project, ONEOFF_LABEL: "False"})
        return {container.labels[SERVICE_LABEL]: container for container in found}

    def user_servers(self, stack: str) -> list[Container]:
        """The containers of users' servers, running or not."""
        return self.containers({STACK_LABEL: stack})

    def image_id(self, name: str) -> str:
        """The id of an image, empty if there is none of that name."""
        from docker.errors import ImageNotFound

        try:
            return str(self.client.images.get(name).id)
        except ImageNotFound:
            return ""

    def volumes_with_sizes(self) -> list[Volume]:
        """Every volume of the engine. It measures each of them, which takes long for large ones."""
        listed = self.client.df().get("Volumes") or []
        return [_volume(item) for item in listed]

    def known_volumes(self, *prefixes: str) -> dict[str, dict[str, Any]]:
        """Driver, options and labels of each volume whose name begins so, by name; nothing is measured."""
        found = self.client.volumes.list()
        return {
            item.name: {
                "driver": item.attrs["Driver"],
                "options": item.attrs["Options"] or {},
                "labels": item.attrs["Labels"] or {},
            }
            for item in found
            if item.name.startswith(prefixes)
        }

    def volumes_folder(self) -> str:
        """Where the engine keeps its volumes."""
        return f"{self.client.info()['DockerRootDir']}/volumes"

    def volumes(self) -> list[Volume]:
        """Every volume of the engine, without sizes."""
        return [_volume(item.attrs) for item in self.client.volumes.list()]

    def volume(self, name: str) -> Volume | None:
        """The volume of this name, without its size, if there is one."""
        from docker.errors import NotFound

        try:
            return _volume(self.client.volumes.get(name).attrs)
        except NotFound:
            return None

    def create_volume(self, name: str, labels: Mapping[str, str], size: int = 0) -> None:
        """Create a volume, of at most `size` bytes where the engine can see to that and `size` is not 0."""
        from docker.errors import APIError

        try:
            self.client.volumes.create(name, labels=dict(labels), driver_opts={"size": str(size)} if size else {})
        except APIError as error:
            if not size or "quota" not in str(error.explanation):
                raise StackgenError(f"the volume {name} was not created: {error.explanation}") from None
            self.create_volume(name, labels)

    def users_of_volume(self, name: str) -> list[Container]:
        """The containers that have this volume, running or not."""
        found = self.client.containers.list(all=True, filters={"volume": name}, ignore_removed=True)
        containers = [_container(item.attrs) for item in found]
        return [container for container in containers if name in container.volumes]  # the filter takes paths, too

    def remove_volume(self, name: str) -> None:
        """Remove a volume; none of that name is fine. Raises StackgenError if a container uses it."""
        from docker.errors import APIError, NotFound

        try:
            self.client.volumes.get(name).remove()
        except NotFound:
            return
        except APIError as error:
            raise StackgenError(f"the volume {name} was not removed: {error.explanation}") from None

    def remove_container(self, name: str) -> None:
        """Stop a container, with ten seconds to save its work, and remove it; none of that name is fine."""
        from docker.errors import NotFound

        try:
            container = self.client.containers.get(name)
            container.stop(timeout=10)
            container.remove(force=True)
        except NotFound:
            return

    def read_file(self, container: str, path: str) -> bytes:
        """A small file out of a container. Raises StackgenError if there is none."""
        import io
        import tarfile

        from docker.errors import NotFound

        try:
            stream, _ = self.client.containers.get(container).get_archive(path)
        except NotFound:
            raise StackgenError(f"the container {container} has no file {path}") from None
        with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as archive:
            file = archive.extractfile(archive.next())  # type: ignore[arg-type]
            if file is None:
                raise StackgenError(f"{path} in the container {container} is no regular file")
            return file.read()


def unreachable(detail: str) -> StackgenError:
    """The error that says why the engine does not answer."""
    if "Permission denied" in detail or "permission denied" in detail:
        return StackgenError(
            "you may not use the Docker engine",
            "run as root, or: sudo usermod -aG docker $USER, then log in again",
            MACHINE,
        )
    return StackgenError(
        "the Docker engine does not answer",
        "start it: sudo systemctl start docker; where no service manager runs: scripts/install-engine",
        MACHINE,
    )


def _endpoint() -> str | None:
    """Where the docker command finds the engine: the SDK knows DOCKER_HOST, but not `docker context`."""
    done = run(
        ["docker", "context", "inspect", "--format", "{{json .Endpoints.docker.Host}}"], capture=True, check=False
    )
    return json.loads(done.stdout) if done.returncode == 0 and done.stdout.strip() else None


def _volume(item: dict[str, Any]) -> Volume:
    size = (item.get("UsageData") or {}).get("Size", -1)
    return Volume(item["Name"], item.get("Labels") or {}, size, item.get("Options") or {})


def _container(attrs: dict[str, Any]) -> Container:
    state, config = attrs["State"], attrs["Config"]
    return Container(
        name=attrs["Name"].removeprefix("/"),
        state=state["Status"],
        health=state.get("Health", {}).get("Status", ""),
        image=config["Image"],
        image_id=attrs["Image"],
        labels=config["Labels"] or {},
        ports=frozenset(_ports(attrs)),
        exit_code=state["ExitCode"],
        environment=dict(pair.partition("=")[::2] for pair in config["Env"] or []),
        volumes=frozenset(mount["Name"] for mount in attrs["Mounts"] if mount["Type"] == "volume"),
    )


def _ports(attrs: dict[str, Any]) -> Iterator[int]:
    for bindings in (attrs["NetworkSettings"]["Ports"] or {}).values():
        for binding in bindings or []:
            yield int(binding["HostPort"])
