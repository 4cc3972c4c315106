"""The end of volumes: never while a server runs, never without a last backup unless that is refused."""

from collections.abc import Sequence
from datetime import UTC, datetime

from stackgen import backup as backups
from stackgen import transfer
from stackgen.confirmation import confirm
from stackgen.engine import STACK_LABEL, Engine
from stackgen.errors import CONFLICT, StackgenError
from stackgen.hubapi import Hub
from stackgen.output import say
from stackgen.settings import Settings
from stackgen.stack import Stack
from stackgen.units import size
from stackgen.volumes import UserVolume, find, user_volumes

REMOVED = ".stackgen/removed"  # in the stack directory: the last copies of volumes that are gone


def remove(stack: Stack, engine: Engine, name: str, *, yes: bool, backup: bool) -> None:
    """Destroy the volume of a user, or of this name, after its name was typed and a last backup was made.

    Raises StackgenError, with everything as it was, if a container runs on it or the backup fails.
    """
    volume, owner = find(stack.settings, engine, name)
    check_idle(stack.settings, engine, volume.name)
    confirm(f"The volume {volume.name} holds all files of {owner}, and is destroyed", owner, yes=yes)
    if backup:
        last_backup(stack, engine, [volume.name])
    destroy(stack.settings, engine, volume.name)
    say(f"the volume {volume.name} is destroyed")


def check_idle(settings: Settings, engine: Engine, volume: str) -> None:
    """Raises StackgenError if a container runs on this volume."""
    for container in engine.users_of_volume(volume):
        if container.state != "exited" and container.state != "created":
            ours = container.labels.get(STACK_LABEL) == settings["STACK_NAME"]
            hint = "stop it on the hub's admin page" if ours else f"stop it: docker stop {container.name}"
            raise StackgenError(f"the container {container.name} runs on the volume {volume}", hint, CONFLICT)


def destroy(settings: Settings, engine: Engine, volume: str) -> None:
    """Remove a volume, and what is left of the servers that had it. Raises StackgenError if one runs by now."""
    check_idle(settings, engine, volume)
    for container in engine.users_of_volume(volume):
        if container.labels.get(STACK_LABEL) == settings["STACK_NAME"]:
            engine.remove_container(container.name)
    engine.remove_volume(volume)


def last_backup(stack: Stack, engine: Engine, volumes: Sequence[str]) -> None:
    """Save volumes that are about to go: in a backup run if backups are set up, else as tars in the stack directory.

    Raises StackgenError if that fails.
    """
    if not volumes:
        return
    if stack.settings.get("BACKUP_REPOSITORY"):
        backups.run(stack, engine)
        return
    folder = stack.directory / REMOVED
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for volume in volumes:
        file = folder / f"{volume}-{datetime.now(UTC):%Y%m%d-%H%M%S}.tar"
        transfer.export(stack.settings, engine, volume, str(file))
        say(f"a last copy of {volume} ({size(file.stat().st_size)}) is {file}, which only you can read")


def orphans(settings: Settings, engine: Engine) -> list[UserVolume]:
    """The volumes whose users the hub knows no more.

    Raises StackgenError if the hub cannot be asked, or knows nobody at all, because then everybody would seem gone.
    """
    people = Hub.of(settings, engine).people()
    if not people:
        raise StackgenError("the hub knows nobody, so every user would seem gone", "see: stackgen users list")
    return [volume for volume in user_volumes(settings, engine, people) if not volume.known]


def prune(stack: Stack, engine: Engine, gone: Sequence[UserVolume], *, yes: bool, backup: bool) -> None:
    """Remove the volumes of users who are gone, each as `remove` does.

    Those without labels stay: they come from an older deployment, whose users the hub may know only when they log in.
    """
    for volume in gone:
        if volume.adopted:
            say(f"kept: {volume.name}, which has no label that says that this stack made it")
        else:
            remove(stack, engine, volume.name, yes=yes, backup=backup)
