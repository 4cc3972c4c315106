"""The stack's own images: kept under a second tag while an upgrade may be taken back."""

import contextlib
from collections.abc import Iterable, Mapping

from stackgen.engine import Engine

KEPT = "before-upgrade"


def current(engine: Engine, stack: str) -> dict[str, str]:
    """The id of each image of the stack by its name, such as stackgen/hub: what its containers run, else the latest."""
    found = {
        tag.removesuffix(":latest"): str(image.id)
        for image in engine.client.images.list(filters={"reference": f"{stack}/*:latest"})
        for tag in image.tags
        if tag.startswith(f"{stack}/") and tag.endswith(":latest")
    }
    running = {container.image: container.image_id for container in engine.services(stack).values()}
    return {name: running.get(name, identity) for name, identity in found.items()}


def keep(engine: Engine, stack: str, images: Mapping[str, str]) -> None:
    """Tag these images as those of before, and no others; what nothing needs any more is removed."""
    before = {
        tag: str(image.id)
        for image in engine.client.images.list(filters={"reference": f"{stack}/*:{KEPT}"})
        for tag in image.tags
        if tag.startswith(f"{stack}/") and tag.endswith(f":{KEPT}")
    }
    for name, identity in images.items():
        engine.client.images.get(identity).tag(name, KEPT)
    for tag in before.keys() - {f"{name}:{KEPT}" for name in images}:
        engine.client.images.remove(tag)
    drop(engine, before.values())


def bring_back(engine: Engine, images: Mapping[str, str]) -> list[str]:
    """Make these images the latest ones again; the names of those that are gone from the engine."""
    gone = []
    for name, identity in images.items():
        if engine.image_id(identity):
            engine.client.images.get(identity).tag(name, "latest")
        else:
            gone.append(name)
    return gone


def drop(engine: Engine, identities: Iterable[str]) -> None:
    """Remove those of these images that have no name any more, and that no container uses."""
    from docker.errors import APIError, ImageNotFound

    for identity in identities:
        with contextlib.suppress(APIError, ImageNotFound):
            if not engine.client.images.get(identity).tags:
                engine.client.images.remove(identity)
