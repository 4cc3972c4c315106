"""A stack that was backed up while people worked, and restored where nothing of it was: what disasters befall."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

from stackgen import names
from tests.conftest import RunningStack, stackgen
from tests.own_engine import OwnEngine

# `scripts/test disasters` runs all of it, and other runs a part
ALL = os.environ.get("STACKGEN_TEST_DISASTERS") == "all"
ROUNDS = 50 if ALL else 4
SMALL_FILES, LARGE_FILE = (100_000, 2 << 30) if ALL else (10_000, 256 << 20)  # a number, and bytes

USERS = [f"user-{number:02d}" for number in range(23)] + ["汉字", "o.hm+é"]
NOTEBOOK = {
    "cells": [
        {"cell_type": "code", "id": "a", "metadata": {}, "execution_count": 1, "outputs": [], "source": source}
        for source in ("number = 2^127 - 1", "print(is_prime(number), open('data.txt').read())")
    ],
    "metadata": {"kernelspec": {"name": "sagemath", "display_name": "SageMath"}},
    "nbformat": 4,
    "nbformat_minor": 5,
}


@dataclass
class Rescued:
    """A stack that was backed up while people worked, and restored where nothing of it was.

    `stack` is to be used inside of `engine`. `before` and `after` are digests of the users' volumes by their names.
    """

    engine: OwnEngine
    original: RunningStack
    stack: RunningStack
    repository: Path
    user: str
    password: str
    before: dict[str, dict[str, list[object]]]
    after: dict[str, dict[str, list[object]]]
    said: str

    def volume(self, user: str) -> str:
        """The volume of a user."""
        return names.volume_name(self.stack.settings["VOLUME_PREFIX"], user)

    def snapshots(self) -> list[dict[str, str]]:
        """All that are in the repository."""
        done = stackgen("backup", "list", "--json", "-C", self.stack.directory)
        assert done.returncode == 0, done.stderr
        found: list[dict[str, str]] = json.loads(done.stdout)
        return found

    def restic(self, *arguments: str) -> list[str]:
        """The arguments of docker that run restic on the repository, as somebody without stackgen would."""
        return [
            *("run", "--rm", "--network=none", "--volume", f"{self.repository}:/repository"),
            *("--env", "RESTIC_REPOSITORY=/repository", "--entrypoint=restic"),
            *("--env", f"RESTIC_PASSWORD={self.stack.settings['BACKUP_PASSWORD']}"),
            *(f"{self.stack.name}/backup", *arguments),
        ]
