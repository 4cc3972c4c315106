"""Users' servers: what happens just before one starts, and until it answers."""

import asyncio

from dockerspawner import DockerSpawner

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


async def _accepts(host: str, port: int) -> bool:
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(host, port), timeout=1)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True


async def before_start(spawner: DockerSpawner) -> None:
    """Create the user's volume with labels, and remove what is left of the last server.

    DockerSpawner would create the volume by itself, but without a label that says whose it is. Creating a volume
    that exists changes nothing, so volumes of an older deployment are taken over as they are.

    A stopped container is kept until now, because its log tells why the server died; it cannot be started again,
    because image and limits may have changed.
    """
    labels = spawner.extra_create_kwargs["labels"]
    labels = {key: value.format(**spawner.template_namespace()) for key, value in labels.items()}
    for volume in spawner.volume_binds:
        await spawner.docker("create_volume", volume, labels=labels)
    if await spawner.get_object():
        await spawner.remove_object()
