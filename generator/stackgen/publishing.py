"""Course material: a folder that every user has in the notebooks, to read; admins may write to it, too.

It is a volume of its own, which the hub mounts into each server that starts while there is one.
"""

import os
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from stackgen import inside, names
from stackgen.engine import STACK_LABEL, USER_LABEL, Container, Engine
from stackgen.errors import CONFLICT, USAGE, Problem, StackgenError
from stackgen.settings import Settings
from stackgen.volumes import new_or_there, user_volumes


def volume_name(settings: Settings) -> str:
    """The volume of course material; the hub knows it by this name (stackgen_hub.servers)."""
    return f"{settings['STACK_NAME']}-shared"


def publish(settings: Settings, engine: Engine, folder: Path, *, replace: bool, delete: bool) -> dict[str, Any]:
    """Put what a folder holds into the shared folder: the names that are new, replaced, the same, removed and kept.

    Raises StackgenError, with nothing changed, if a user has something under the shared folder's name, if a file cannot
    be read, or if admins have changed what would go and `replace` is not set.
    """
    if not folder.is_dir():
        raise StackgenError(f"{folder} is no folder", exit_code=USAGE)
    volume = volume_name(settings)
    if names.volume_owner(settings["VOLUME_PREFIX"], volume) is not None:
        raise StackgenError(f"with this VOLUME_PREFIX {volume} is the volume of a user", "choose another STACK_NAME")
    _check_hidden(settings, engine)
    check_readable(folder)
    words = ["publish", *(["--replace"] if replace else []), *(["--delete"] if delete else [])]
    labels = {STACK_LABEL: settings["STACK_NAME"]}
    with _tar_of(folder) as tar, new_or_there(engine, volume, labels):
        done: dict[str, Any] = inside.run(settings, engine, {"/volume": volume}, *words, may=inside.WRITE, stdin=tar)
    return done


def _check_hidden(settings: Settings, engine: Engine) -> None:
    """Raises StackgenError if the shared folder would hide something in a user's volume."""
    name = settings["SHARED_FOLDER"]
    volumes = user_volumes(settings, engine, None, engine.volumes())
    holding = inside.look(settings, engine, [volume.name for volume in volumes], "holding", name)
    problems = [
        Problem(f"{volume.owner} has files of their own under the name {name}")
        for volume in volumes
        if holding[volume.name]
    ]
    if problems:
        hint = "choose another name, such as SHARED_FOLDER=course in .env, then: stackgen up; or let them rename theirs"
        problems.append(Problem("the shared folder would hide these files, and nothing was published", hint))
        raise StackgenError(problems, exit_code=CONFLICT)


def check_readable(folder: Path) -> None:
    """Raises StackgenError for each file that cannot be read, before anything is changed."""
    problems: list[Problem] = []

    def unreadable(error: OSError) -> None:
        problems.append(Problem(f"{error.filename}: {error.strerror}"))

    for parent, _, files in os.walk(folder, onerror=unreadable):
        for file in (Path(parent, name) for name in files):
            if not file.is_symlink() and not (file.is_file() and os.access(file, os.R_OK)):
                problems.append(Problem(f"{file}: cannot be read, or is no file"))
    if problems:
        raise StackgenError([*problems, Problem("nothing was published")])


@contextmanager
def _tar_of(folder: Path) -> Iterator[IO[bytes]]:
    """The tar of a folder, as a pipe that a thread of this process writes into; it has no end if that fails."""
    reader, writer = os.pipe()
    failed: list[OSError] = []

    def write() -> None:
        try:
            with os.fdopen(writer, "wb") as pipe:
                archive = tarfile.open(fileobj=pipe, mode="w|", format=tarfile.PAX_FORMAT)  # noqa: SIM115
                archive.add(folder, ".")  # no `with`: a tar that was given up must not get its end
                archive.close()
        except OSError as error:
            failed.append(error)

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    with os.fdopen(reader, "rb") as pipe:
        try:
            yield pipe
        except StackgenError:
            thread.join(timeout=1)
            if failed and not isinstance(failed[0], BrokenPipeError):
                raise StackgenError(f"{failed[0].filename}: {failed[0].strerror}: nothing was published") from None
            raise


def withdraw(settings: Settings, engine: Engine) -> list[str]:
    """Take the shared folder away, first what is in it, then the volume; the users whose servers still have it, empty.

    While there are some the volume stays. Raises StackgenError if nothing is published.
    """
    volume = volume_name(settings)
    if not engine.volume(volume):
        raise StackgenError("nothing is published", "see: stackgen publish --help", USAGE)
    inside.run(settings, engine, {"/volume": volume}, "clear", may=inside.WRITE)
    servers = engine.users_of_volume(volume)
    running = [server for server in servers if server.state == "running"]
    if not running:
        for server in servers:
            if server.labels.get(STACK_LABEL) == settings["STACK_NAME"]:
                engine.remove_container(server.name)  # the hub makes another at the next start
        engine.remove_volume(volume)
    return sorted(_whose(server) for server in running)


def without_it(settings: Settings, engine: Engine) -> list[str]:
    """The users whose servers run without the shared folder, because they started before it was published."""
    servers = engine.user_servers(settings["STACK_NAME"])
    volume = volume_name(settings)
    return sorted(_whose(server) for server in servers if server.state == "running" and volume not in server.volumes)


def _whose(server: Container) -> str:
    return server.labels.get(USER_LABEL, server.name)
