"""Users' servers: what happens just before one starts, and until it answers."""

import asyncio
import os

from docker.errors import APIError, NotFound
from dockerspawner import DockerSpawner
from jupyterhub.traitlets import ByteSpecification

from stackgen_hub.names import volume_name

POLL = 0.05  # seconds


class Spawner(DockerSpawner):
    """DockerSpawner that notices at once that a server is there.

    JupyterHub asks a new server again after pauses that grow to seconds, and users wait for the rest of a pause.
    """

    async def start(self) -> tuple[str, int]:
        """Start the container, and wait until its port accepts a connection or it has ended; its address."""
        address: tuple[str, int] = await super().start()
        for count in range(int(self.http_timeout / POLL)):
            # the hub finds out by itself when the container has ended, and says what it said; asking Docker costs more
            if await _accepts(*address) or (count % 20 == 19 and await self.poll() is not None):
                break
            await asyncio.sleep(POLL)
        return address


def quota(setting: str) -> str:
    """VOLUME_QUOTA in bytes, as users' servers and the engine take it; empty if there is none."""
    return str(ByteSpecification().validate(None, setting)) if setting else ""


async def _accepts(host: str, port: int) -> bool:
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(host, port), timeout=1)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True


async def before_start(spawner: DockerSpawner) -> None:
    """Create the user's volume, mount the shared folder if there is one, and remove what is left of the last server.

    DockerSpawner would create the volume by itself, but without a label that says whose it is, and without a quota.
    Volumes that exist are left as they are, so those of an older deployment are taken over.

    A stopped container is kept until now, because its log tells why the server died; it cannot be started again,
    because image and limits may have changed.
    """
    shared = f"{spawner.prefix}-shared"  # stackgen publish creates and fills it
    for volumes in (spawner.volumes, spawner.read_only_volumes):
        volumes.pop(shared, None)
    if await _exists(spawner, shared):
        volumes = spawner.volumes if spawner.user.admin else spawner.read_only_volumes
        volumes[shared] = f"{spawner.notebook_dir}/{os.environ['SHARED_FOLDER']}"
    own = volume_name(os.environ["VOLUME_PREFIX"], spawner.user.name)
    if own in spawner.volume_binds and not await _exists(spawner, own):
        labels = spawner.extra_create_kwargs["labels"]
        await _create(
            spawner, own, {key: value.format(**spawner.template_namespace()) for key, value in labels.items()}
        )
    if await spawner.get_object():
        await spawner.remove_object()


async def _exists(spawner: DockerSpawner, volume: str) -> bool:
    try:
        await spawner.docker("inspect_volume", volume)
    except NotFound:
        return False
    return True


async def _create(spawner: DockerSpawner, volume: str, labels: dict[str, str]) -> None:
    """Create a volume, with the quota where the engine's local driver can enforce it, which only trying tells."""
    if size := spawner.environment.get("VOLUME_QUOTA"):
        try:
            await spawner.docker("create_volume", volume, labels=labels, driver_opts={"size": size})
            return
        except APIError as error:
            spawner.log.info("VOLUME_QUOTA is a warning only here: %s", error.explanation)
    await spawner.docker("create_volume", volume, labels=labels)
