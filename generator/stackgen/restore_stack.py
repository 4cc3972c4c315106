"""`stackgen backup restore`: a whole stack out of a snapshot, even where nothing but stackgen and an engine is."""

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from stackgen import __version__, backup, compose, envfile
from stackgen.apply import apply
from stackgen.confirmation import confirm
from stackgen.engine import PROJECT_LABEL, Engine
from stackgen.errors import CONFLICT, MACHINE, USAGE, Problem, StackgenError
from stackgen.initialize import initialize
from stackgen.journal import record
from stackgen.output import say
from stackgen.renaming import exchange
from stackgen.rendering import pending
from stackgen.restore import MAY, create, mounts
from stackgen.settings_table import BY_KEY
from stackgen.stack import Stack

# What the container of a restore needs to know, of all that a stack may have set.
CARRIED = ("BASE_IMAGE", "APT_MIRROR", "PIP_INDEX_URL")


@dataclass(frozen=True)
class Place:
    """Where a stack directory is restored: what is made for it stands beside it, until it is complete."""

    directory: Path

    @property
    def workshop(self) -> Path:
        """The folder of all that is gone after the restore."""
        return self.directory.with_name(f".{self.directory.name}.restoring")

    @property
    def tools(self) -> Stack:
        """A small stack directory, whose service `backup` does the work."""
        return Stack(self.workshop / "tools")

    @property
    def staged(self) -> Path:
        """What becomes the stack directory."""
        return self.workshop / "stack"

    @property
    def record(self) -> Path:
        """Which snapshot is being restored: whoever runs it again for this one goes on."""
        return self.workshop / "snapshot"

    @property
    def complete(self) -> Path:
        """There when all is restored: the inode of what becomes the stack directory."""
        return self.workshop / "complete"

    @cached_property
    def project(self) -> str:
        """The small stack's name, the same at each try."""
        return "restore" + hashlib.sha256(f"{self.directory} {__version__}".encode()).hexdigest()[:10]


def restore_stack(
    directory: Path, engine: Engine, given: Mapping[str, str], *, stack: str, snapshot: str, replace: bool, yes: bool
) -> dict[str, Any]:
    """Restore the stack directory, every volume and the hub's database; what the manifest says of them.

    `given` are the repository's settings, without which those of the stack in `directory` hold; `stack` is the name of
    the stack, if the repository has several. Nothing that is there is replaced, unless `replace` is set. Interrupted,
    and run again, it goes on. Raises StackgenError.
    """
    place = Place(directory.resolve())
    with _tools(place, engine, given) as tools:
        name = stack or _stack_of(place.directory)
        found = json.loads(backup.ask(tools, engine, "manifest", "--snapshot", snapshot, "--stack", name))
        taken = f"{datetime.fromisoformat(found['taken']):%Y-%m-%d %H:%M} UTC"
        say(f"the stack {found['stack']} as it was {taken}: {len(found['volumes'])} volumes")
        _check_stopped(engine, found)
        if not (place.record.exists() and place.record.read_text() == found["id"]):
            in_the_way = list(_in_the_way(place, tools, engine, found))
            if in_the_way and not replace:
                raise StackgenError(in_the_way, exit_code=CONFLICT)
            for problem in in_the_way:
                say(f"to be replaced: {problem.message}")
            if in_the_way:
                confirm(f"What is there is replaced by the stack as it was {taken}", found["stack"], yes=yes)
            place.complete.unlink(missing_ok=True)
            shutil.rmtree(place.staged, ignore_errors=True)
            place.record.write_text(found["id"])
        if not place.complete.exists():
            _restore(place, tools, engine, found)
            place.complete.write_text(str(place.staged.stat().st_ino))
        _put_in_place(place)
    _notes(place, given, found)
    return dict(found)


@contextmanager
def _tools(place: Place, engine: Engine, given: Mapping[str, str]) -> Iterator[Stack]:
    """The small stack directory, rendered, with its image built. It goes at the end, and stays for the next try."""
    values = _repository(place.directory, given) | {
        "STACK_NAME": place.project,
        "VOLUME_PREFIX": f"{place.project}-user-",
        "DOCKER_VOLUMES": engine.volumes_folder(),
    }
    try:
        place.workshop.mkdir(parents=True, mode=0o700, exist_ok=True)
    except OSError as error:
        raise StackgenError(f"{place.workshop} cannot be made: {error.strerror}", "name another folder") from None
    place.tools.env.unlink(missing_ok=True)
    record(place.tools.directory)  # whatever version began this
    tools = initialize(place.tools.directory, values, None)
    try:
        apply(pending(tools), tools.directory)
        # a restore whose stackgen was killed may still be at work
        compose.run(compose.down(tools.directory), capture=True, check=False)
        _build(tools, engine)
        yield tools
    finally:
        compose.run(compose.undo(tools.directory), capture=True, check=False)
        if not place.record.exists():
            shutil.rmtree(place.workshop)


def _repository(directory: Path, given: Mapping[str, str]) -> dict[str, str]:
    """The settings of the repository, and of building: those given, or the ones of the stack that is there."""
    env = directory / ".env"
    stored = envfile.read(env) if env.is_file() else {}
    wanted = [key for key in BY_KEY if key.startswith("BACKUP_") and key not in ("BACKUP_SCHEDULE", "BACKUP_KEEP")]
    values = {key: stored[key] for key in (*wanted, *CARRIED) if stored.get(key)} | dict(given)
    if not values.get("BACKUP_REPOSITORY"):
        raise StackgenError("which repository?", "name it: --repository", USAGE)
    if not values.get("BACKUP_PASSWORD"):
        raise StackgenError(
            "BACKUP_PASSWORD is needed", "give it with --secrets FILE, with a line BACKUP_PASSWORD=... in it", USAGE
        )
    return values


def _stack_of(directory: Path) -> str:
    """The name of the stack that is there; empty if none is."""
    env = directory / ".env"
    return Stack(directory).settings["STACK_NAME"] if env.is_file() else ""


def _build(tools: Stack, engine: Engine) -> None:
    if engine.image_id(f"{tools.settings['STACK_NAME']}/backup"):
        return  # an interrupted restore has made it
    base = tools.settings["BASE_IMAGE"]
    hint = f"the engine could not get {base}: stackgen base-image" if not engine.image_id(base) else ""
    say("building the image that reads the repository")
    done = compose.run(compose.build(tools.directory, "backup"), capture=True, check=False)
    if done.returncode:
        raise StackgenError("the image cannot be built", hint or "\n".join(done.stderr.splitlines()[-10:]), MACHINE)


def _check_stopped(engine: Engine, found: Mapping[str, Any]) -> None:
    """Raise StackgenError if the stack, or anything else that has its volumes, is at work."""
    names = {item.name for item in engine.containers({PROJECT_LABEL: found["stack"]}) if item.state == "running"}
    for volume in found["volumes"]:
        names |= {item.name for item in engine.users_of_volume(volume) if item.state == "running"}
    if names:
        raise StackgenError(
            f"the stack {found['stack']} is at work here: {', '.join(sorted(names))}", "stackgen down", CONFLICT
        )


def _in_the_way(place: Place, tools: Stack, engine: Engine, found: Mapping[str, Any]) -> Iterator[Problem]:
    hint = "nothing was changed; --replace puts the snapshot in its place"
    if place.directory.is_dir() and any(place.directory.iterdir()):
        yield Problem(f"the folder {place.directory} is not empty", hint)
    elif place.directory.exists() and not place.directory.is_dir():
        yield Problem(f"{place.directory} is there, and no folder", hint)
    for volume in json.loads(backup.ask(tools, engine, "occupied", *found["volumes"])):
        yield Problem(f"the volume {volume} holds files", hint)


def _restore(place: Place, tools: Stack, engine: Engine, found: Mapping[str, Any]) -> None:
    place.staged.mkdir(exist_ok=True)
    for volume, entry in found["volumes"].items():
        create(engine, volume, entry)
    files = []
    for key, path in found["operator"].items():
        if path and not Path(path).exists():
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            files += ["--volume", f"{Path(path).parent}:/target/operator/{key}"]
    targets = [*mounts(tools.settings, found["volumes"]), "--volume", f"{place.staged}:/staging/stack", *files]
    backup.ask(tools, engine, "restore", "--snapshot", found["id"], options=(*MAY, *targets))
    _settle(place.staged / ".env", tools.settings["DOCKER_VOLUMES"])


def _settle(env: Path, volumes: str) -> None:
    """Let .env say where this engine keeps volumes, if that is not where the other one did.

    The text alone is changed: settings of another version need not be valid here.
    """
    key = "DOCKER_VOLUMES"
    if (envfile.read(env).get(key) or BY_KEY[key].default) != volumes:
        envfile.write(env, envfile.updated(envfile.read_text(env), {key: volumes}))
        say(f"note: {key} in .env is {volumes} now, where this engine keeps volumes")


def _put_in_place(place: Place) -> None:
    """Let the stack directory appear as a whole. One that was there is kept under another name."""
    restored = int(place.complete.read_text())
    if place.directory.is_dir() and not any(place.directory.iterdir()):
        place.directory.rmdir()
    if not place.directory.exists():
        place.staged.rename(place.directory)
    elif place.directory.stat().st_ino != restored:
        exchange(place.staged, place.directory)
    if place.staged.exists():
        kept = place.directory.with_name(f"{place.directory.name}.before-{datetime.now(UTC):%Y-%m-%d-%H%M%S}")
        place.staged.rename(kept)
        say(f"what was in {place.directory} is in {kept} now")
    place.record.unlink()


def _notes(place: Place, given: Mapping[str, str], found: Mapping[str, Any]) -> None:
    """What the operator should know of what was restored."""
    settings = Stack(place.directory).settings
    repository = settings["BACKUP_REPOSITORY"]
    if given.get("BACKUP_REPOSITORY", repository) != repository:
        say(f"note: BACKUP_REPOSITORY in .env is {repository}, and this came from {given['BACKUP_REPOSITORY']}")
    if found["database"]["kind"] == "postgresql":
        say(
            f"the hub's database is in {place.directory}/.stackgen/hub.sql. Start its server, and before the hub:\n"
            "  docker compose run --rm backup load-database"
        )
    for problem in found["problems"]:
        say(f"note: not in this snapshot: {problem}")
