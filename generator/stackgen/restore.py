"""`stackgen backup restore --user`: one user's volume out of a snapshot, or one path of it."""

import json
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

from stackgen import backup
from stackgen.confirmation import confirm
from stackgen.engine import Engine
from stackgen.errors import CONFLICT, StackgenError
from stackgen.output import say
from stackgen.people import checked_name
from stackgen.settings import Settings
from stackgen.stack import Stack

# To write as root what belongs to a user, modes and all.
MAY = ("--cap-add", "CHOWN", "--cap-add", "FOWNER", "--cap-add", "FSETID")
STAGING = ".restoring"  # beside _data in the engine's folder of a volume, where no user sees it


def restore_user(
    stack: Stack, engine: Engine, user: str, *, path: str, snapshot: str, replace: bool, yes: bool
) -> dict[str, Any]:
    """Restore a user's volume, or one path of it: into a new folder of the volume, or in place of what is there.

    What is there stays whole until what takes its place is complete. Raises StackgenError, with nothing changed.
    """
    name = checked_name(stack.settings, user)
    found = json.loads(backup.ask(stack, engine, "manifest", "--snapshot", snapshot))
    volume = next((key for key, entry in found["volumes"].items() if entry["owner"] == name), "")
    if not volume:
        raise StackgenError(
            f"the snapshot {found['id'][:8]} has no volume of {name}", f"see: stackgen backup list --user {name}"
        )
    taken = datetime.fromisoformat(found["taken"])
    if not engine.volume(volume):
        create(engine, volume, found["volumes"][volume])
        replace = yes = True  # nothing is there
    if replace:
        check_unused(engine, [volume], name)
        what = f"{path} of {name}" if path else f"the whole volume of {name}"
        confirm(f"What is there now is replaced by {what} as it was {taken:%Y-%m-%d %H:%M} UTC", name, yes=yes)
    place = () if replace else ("--beside", f"restored-{taken:%Y-%m-%d-%H%M}")
    verb = ("restore", "--snapshot", found["id"], "--volume", volume, "--path", path, *place)
    options = (*MAY, *mounts(stack.settings, [volume]))
    if replace:
        # Restoring may take long. Only then it is known whether somebody began to work meanwhile.
        backup.ask(stack, engine, *verb, "--prepare", options=options)
        check_unused(engine, [volume], name)
    done: dict[str, Any] = json.loads(backup.ask(stack, engine, *verb, options=options))
    say(
        f"{name} has it in {done['placed']}"
        if not replace
        else f"{path or volume} is as it was {taken:%Y-%m-%d %H:%M} UTC"
    )
    return done


def create(engine: Engine, volume: str, entry: dict[str, Any]) -> None:
    """Create a volume as the manifest of a snapshot has it; one that is there stays."""
    engine.create_volume(volume, entry["labels"], int(entry.get("options", {}).get("size", 0)))


def check_unused(engine: Engine, volumes: Iterable[str], user: str) -> None:
    """Raise StackgenError if a container that is not stopped has one of the volumes."""
    for volume in volumes:
        for container in engine.users_of_volume(volume):
            if container.state not in ("exited", "dead"):
                raise StackgenError(
                    f"the container {container.name} works in the volume {volume}",
                    f"stop the server of {user} first (an admin can, on the page Admin), or leave out --replace",
                    CONFLICT,
                )


def mounts(settings: Settings, volumes: Iterable[str]) -> list[str]:
    """The options that give the container the engine's folders of these volumes, to write to.

    The folder and not the volume in it: only there what was restored can change places with what is there, in one step.
    """
    arguments = []
    for volume in volumes:
        folder = Path(settings["DOCKER_VOLUMES"]) / volume
        arguments += ["--volume", f"{folder}:/target/volumes/{volume}"]
        arguments += ["--volume", f"{folder / STAGING}:/staging/volumes/{volume}"]
    return arguments
