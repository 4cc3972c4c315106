"""Backups: what stackgen does around the container that makes them (images/backup)."""

import json
import secrets
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stackgen import compose, envfile
from stackgen.apply import apply, write
from stackgen.engine import Engine
from stackgen.errors import CONFLICT, FAILED, SETTINGS, USAGE, Problem, StackgenError
from stackgen.journal import claim
from stackgen.output import say
from stackgen.rendering import pending
from stackgen.settings import unknown_keys
from stackgen.settings_table import BY_KEY
from stackgen.stack import Stack
from stackgen.units import minute, size

STATE = ".stackgen/backup"
HEADER = ("snapshot", "time (UTC)", "files", "size", "new")


def init(stack: Stack, engine: Engine, given: Mapping[str, str]) -> Stack:
    """Store the settings of a repository, and initialise it; one that is there and takes the password is fine.

    Whatever goes wrong, .env and the files are afterwards as they were. Raises StackgenError.
    """
    claim(stack.directory)
    before = envfile.read_text(stack.env)
    values = _new_values(stack, engine, given)
    generated = "BACKUP_PASSWORD" not in values and not stack.settings["BACKUP_PASSWORD"]
    if generated:
        values["BACKUP_PASSWORD"] = secrets.token_urlsafe(32)
    # Stored first: a repository whose password nobody has could not be opened by the next try.
    new = stack.store(**values)
    made = None
    try:
        if new.settings.repository_kind == "local":
            made = _make_folder(new)
        _render(new)
        say("building the image")
        compose.run(compose.build(new.directory, "backup"), capture=True)
        _initialize(new, generated=generated)
    except BaseException:
        envfile.write(stack.env, before)
        apply(pending(Stack(stack.directory)), stack.directory, merge=True)
        if made and not any(made.iterdir()):
            made.rmdir()
        raise
    return new


def _new_values(stack: Stack, engine: Engine, given: Mapping[str, str]) -> dict[str, str]:
    stored = stack.settings
    problems = [
        *unknown_keys(given),
        *(
            Problem(f".env has another {key} already", f"edit {stack.env}, then: stackgen render, stackgen backup init")
            for key, value in given.items()
            if stored.get(key) not in ("", value, BY_KEY[key].default)
        ),
    ]
    if problems:
        raise StackgenError(problems, exit_code=USAGE)
    if not (given.get("BACKUP_REPOSITORY") or stored["BACKUP_REPOSITORY"]):
        raise StackgenError("where backups go is not known", "name a folder or another place: --repository", USAGE)
    folder = engine.volumes_folder()
    values = {key: value for key, value in given.items() if value != stored[key]}
    return values if folder == stored["DOCKER_VOLUMES"] else {"DOCKER_VOLUMES": folder, **values}


def _make_folder(stack: Stack) -> Path | None:
    """Make the folder of a local repository; None if it is there. Raises StackgenError where it cannot be."""
    folder = Path(stack.settings["BACKUP_REPOSITORY"])
    for other in (stack.directory, Path(stack.settings["DOCKER_VOLUMES"])):
        if folder.resolve().is_relative_to(other.resolve()):
            raise StackgenError(
                f"BACKUP_REPOSITORY={folder} is inside {other}, and would be backed up into itself",
                "name a folder elsewhere, best on another disk",
                SETTINGS,
            )
    if folder.is_dir():
        return None
    try:
        folder.mkdir(parents=True, mode=0o700)
    except OSError as error:
        raise StackgenError(f"BACKUP_REPOSITORY={folder} cannot be made: {error.strerror}", "", SETTINGS) from None
    return folder


def _render(stack: Stack) -> None:
    """Render, and merge into files that the operator edited. Raises StackgenError where that needs the operator."""
    report = apply(pending(stack), stack.directory, merge=True)
    for path in report.merged:
        say(f"merged {path}")
    if report.conflicts:
        hint = "set BACKUP_REPOSITORY in .env, then: stackgen render --merge, and stackgen backup init"
        said = [Problem(f"{path} was edited by you where backups change it, too", hint) for path in report.conflicts]
        raise StackgenError(said, exit_code=CONFLICT)


def _initialize(stack: Stack, *, generated: bool) -> None:
    (stack.directory / STATE).mkdir(parents=True, exist_ok=True)
    done = compose.run(compose.backup(stack.directory, "init"), capture=True, check=False)
    if "BACKUP_PASSWORD is not the password" in done.stderr and generated:
        raise StackgenError(
            f"there is a repository at {stack.settings['BACKUP_REPOSITORY']}, with another password",
            "give its password with --secrets FILE, in a line BACKUP_PASSWORD=...",
            SETTINGS,
        )
    if done.returncode:
        raise said(done.stderr, done.returncode)
    say(done.stderr.strip())


def said(text: str, exit_code: int) -> StackgenError:
    """The errors that a container printed, as one of stackgen's own."""
    problems: list[Problem] = []
    for line in text.splitlines():
        if line.startswith("error: "):
            problems.append(Problem(line.removeprefix("error: ")))
        elif line.startswith("hint: ") and problems:
            problems[-1] = Problem(problems[-1].message, line.removeprefix("hint: "))
    return StackgenError(problems or [Problem("the backup container failed", text.strip())], exit_code=exit_code)


def run(stack: Stack, engine: Engine) -> dict[str, Any]:
    """Back up everything; the report. Raises StackgenError if there is no snapshot, or not of all."""
    report: dict[str, Any] = json.loads(ask(stack, engine, "run"))
    return report


def ask(stack: Stack, engine: Engine, *command: str, options: Sequence[str] = ()) -> str:
    """Run a verb of the container, whose progress and errors are shown; its JSON. Raises StackgenError if it fails."""
    done = run_verb(stack, engine, *command, options=options)
    if done.returncode:
        raise ended(done.returncode)
    return done.stdout


def ended(exit_code: int) -> StackgenError:
    """The error for a container that failed, and has said why, or that was ended."""
    if exit_code in (FAILED, USAGE, CONFLICT, SETTINGS):
        return StackgenError([], exit_code=exit_code)
    return StackgenError(f"the container was ended (exit code {exit_code})", "nothing is lost; run it again")


def run_verb(
    stack: Stack, engine: Engine, *command: str, options: Sequence[str] = ()
) -> subprocess.CompletedProcess[str]:
    """The same for a verb whose failure is an answer. Raises StackgenError if it cannot be asked."""
    prepare(stack, engine)
    terminal = ("--env", "STACKGEN_TERMINAL=true") if sys.stderr.isatty() else ()
    return compose.run(
        compose.backup(stack.directory, *command, options=(*terminal, *options)), check=False, answer=True
    )


def prepare(stack: Stack, engine: Engine) -> None:
    """See to it that the container can work. Raises StackgenError with what is missing."""
    kind = stack.settings.repository_kind
    if not kind or not stack.settings["BACKUP_PASSWORD"]:
        raise StackgenError("there is no repository for backups yet", "stackgen backup init", SETTINGS)
    if (volumes := engine.volumes_folder()) != stack.settings["DOCKER_VOLUMES"]:
        raise StackgenError(
            f"DOCKER_VOLUMES={stack.settings['DOCKER_VOLUMES']}, and the engine keeps volumes in {volumes}",
            f"set DOCKER_VOLUMES={volumes} in .env, then: stackgen render",
            SETTINGS,
        )
    rendered = (stack.directory / "compose.yaml").read_text()
    if "\n  backup:\n" not in rendered or ("target: /repository" in rendered) != (kind == "local"):
        raise StackgenError("compose.yaml is not as .env says", "stackgen render", SETTINGS)
    folder = stack.settings["BACKUP_REPOSITORY"]
    if kind == "local" and not Path(folder).is_dir():
        raise StackgenError(f"there is no folder BACKUP_REPOSITORY={folder}", "is its disk mounted?")
    if not engine.image_id(f"{stack.settings['STACK_NAME']}/backup"):
        say("building the image")
        compose.run(compose.build(stack.directory, "backup"), capture=True)
    tell_volumes(stack, engine)


def tell_volumes(stack: Stack, engine: Engine) -> None:
    """Write down what the engine knows of the stack's volumes: the container cannot ask it."""
    known = engine.known_volumes(stack.settings["VOLUME_PREFIX"], f"{stack.settings['STACK_NAME']}-")
    write(stack.directory / STATE / "volumes.json", json.dumps(known, ensure_ascii=False).encode())


def row(snapshot: Mapping[str, Any]) -> list[str]:
    """A snapshot of `list` for people."""
    sizes = [size(snapshot[key]) if snapshot.get(key) is not None else "" for key in ("bytes", "added")]
    return [snapshot["id"][:8], minute(snapshot["time"]), str(snapshot.get("files") or ""), *sizes]


FILES_HEADER = ("path", "type", "size", "modified")


def file_row(entry: Mapping[str, Any]) -> list[str]:
    """A file of `list --files` for people."""
    used = size(entry["bytes"]) if entry["type"] == "file" else ""
    return [entry["path"], entry["type"], used, minute(entry["modified"])]
