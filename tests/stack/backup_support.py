"""What the tests of backups share: stacks that have volumes and no services, and a look into a repository."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stackgen import envfile
from tests.conftest import docker, free_ports, remove, stackgen


@dataclass
class ColdStack:
    """A stack whose services were never started: its volumes are all there is to back up and restore."""

    directory: Path
    name: str
    repository: Path

    @property
    def image(self) -> str:
        """An image with Python and restic."""
        return f"{self.name}/backup"

    @property
    def password(self) -> str:
        return envfile.read(self.directory / ".env")["BACKUP_PASSWORD"]

    def volume(self, user: str, text: str = "") -> str:
        """Make the volume of a user, with a notebook in it; its name."""
        volume = f"{self.name}-user-{user}"
        labels = ("--label", f"stackgen.stack={self.name}", "--label", f"stackgen.user={user}")
        docker("volume", "create", *labels, volume)
        if text:
            self.inside(volume, f"mkdir -p notebooks && printf %s '{text}' >notebooks/x.ipynb && chown -R 1000:1000 .")
        return volume

    def inside(self, volume: str, script: str) -> str:
        """Run a shell script in a volume."""
        return in_volume(self.image, volume, script)

    def python(self, volume: str, code: str) -> str:
        """Run Python in a volume."""
        run = ("run", "--rm", "--network=none", "--entrypoint=python3", "--volume", f"{volume}:/v")
        return docker(*run, self.image, "-c", code)

    def backup(self, *arguments: str | Path, **more: Any) -> subprocess.CompletedProcess[str]:
        """`stackgen backup ...` in this stack."""
        return stackgen("backup", *arguments, "-C", self.directory, **more)

    def run(self) -> dict[str, Any]:
        """A backup that must succeed; its report."""
        done = self.backup("run", "--json")
        assert done.returncode == 0, done.stderr
        return dict(json.loads(done.stdout))

    def restic(self, *arguments: str) -> str:
        """restic on the repository, by hand."""
        return restic(self.image, self.repository, self.password, *arguments)


def in_volume(image: str, volume: str, script: str) -> str:
    """Run a shell script in a volume."""
    run = ("run", "--rm", "--network=none", "--entrypoint=sh", "--workdir=/v", "--volume", f"{volume}:/v")
    return docker(*run, image, "-euc", script)


def restic(image: str, repository: Path, password: str, *arguments: str) -> str:
    """restic on a local repository, by hand."""
    settings = ("--env", "RESTIC_REPOSITORY=/repository", "--env", f"RESTIC_PASSWORD={password}")
    run = ("run", "--rm", "--network=none", "--entrypoint=restic", "--volume", f"{repository}:/repository")
    return docker(*run, *settings, image, "--quiet", "--no-lock", *arguments)


@contextmanager
def cold_stack(folder: Path, name: str) -> Iterator[ColdStack]:
    """A stack of this name that has a repository beside it, and is taken away at the end."""
    directory, repository = folder / "stack", folder / "repository"
    http, https = free_ports(2)
    settings = {"STACK_NAME": name, "VOLUME_PREFIX": f"{name}-user-", "HTTP_PORT": http, "HTTPS_PORT": https}
    if base := os.environ.get("STACKGEN_TEST_BASE_IMAGE"):
        settings["BASE_IMAGE"] = base
    words = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    try:
        done = stackgen("init", directory, "--admin", "ada", *words)
        assert done.returncode == 0, done.stderr
        done = stackgen("backup", "init", "--repository", repository, "-C", directory)
        assert done.returncode == 0, done.stderr
        yield ColdStack(directory, name, repository)
    finally:
        remove(directory, name)
