"""Argument lists for `docker compose`, and the one place that runs them."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from stackgen import process
from stackgen.settings_table import BY_KEY


def argv(directory: Path, *arguments: str) -> list[str]:
    """`docker compose ...` for the stack in this directory."""
    return ["docker", "compose", "--project-directory", str(directory), *arguments]


def build(directory: Path, *services: str) -> list[str]:
    """Build the images of these services, or of all that `up` starts, where files changed."""
    return argv(directory, "build", *services)


def up(directory: Path) -> list[str]:
    """Start, wait until healthy, and remove containers of services that are gone from the file."""
    return argv(directory, "up", "--detach", "--wait", "--remove-orphans")


def down(directory: Path) -> list[str]:
    """Stop and remove the containers, a backup at work too. Never a volume.

    The user network stays while users' servers are on it.
    """
    return argv(directory, "--profile", "backup", "down", "--remove-orphans")


def undo(directory: Path) -> list[str]:
    """Remove all that a stack directory for one errand has left in the engine: its images, and its volumes too."""
    return argv(directory, "--profile", "*", "down", "--volumes", "--rmi", "all")


def stop(directory: Path, service: str) -> list[str]:
    """Stop one service; the others go on."""
    return argv(directory, "stop", service)


def logs(directory: Path, services: list[str], *, follow: bool, tail: str) -> list[str]:
    """The services' logs, the last `tail` lines of each (a number or "all")."""
    return argv(directory, "logs", "--tail", tail, *(["--follow"] if follow else []), *services)


def once(directory: Path, service: str, *command: str) -> list[str]:
    """Run a command in a new container of a service, without starting what it depends on, and remove the container."""
    return argv(directory, "run", "--rm", "--no-deps", "--no-TTY", "--quiet-pull", service, *command)


def backup(directory: Path, *command: str, options: Sequence[str] = ()) -> list[str]:
    """Run a verb in a container of the service `backup`; `options` are those of `docker compose run`."""
    usual = ("--rm", "--no-deps", "--no-TTY", "--quiet-pull")
    return argv(directory, "--progress", "quiet", "run", *usual, *options, "backup", *command)


def inside(directory: Path, service: str, *command: str) -> list[str]:
    """Run a command in the running container of a service."""
    return argv(directory, "exec", "--no-TTY", service, *command)


def run(
    arguments: list[str],
    *,
    stdin: str | None = None,
    capture: bool = False,
    check: bool = True,
    stdout: bool = False,
    answer: bool = False,
) -> subprocess.CompletedProcess[str]:
    """Run an argument list made here. Compose prefers the shell's variables to .env, so ours are taken out first."""
    environment = {key: value for key, value in os.environ.items() if key not in BY_KEY}
    return process.run(
        arguments, stdin=stdin, capture=capture, check=check, environment=environment, stdout=stdout, answer=answer
    )
