"""What happens just before DockerSpawner starts a user's server."""

from dockerspawner import DockerSpawner


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
