"""The session's stack with a repository for its backups, for as long as a test needs it."""

import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stackgen import envfile
from stackgen.names import volume_name
from stackgen.settings_table import BY_KEY
from tests.conftest import RunningStack, docker, stackgen

IN_CONTAINER = "/etc/ssl/certs/ca-certificates.crt"  # whom programs there trust


@contextmanager
def repository(stack: RunningStack, trusted: Path | None = None) -> Iterator[None]:
    """Whatever a test does to the stack's backup settings is undone afterwards.

    The container trusts the authority `trusted`, as an operator tells it to in compose.override.yaml.
    """
    env, override = stack.directory / ".env", stack.directory / "compose.override.yaml"
    before, override_before = env.read_text(), override.read_text()
    if trusted:
        override.write_text(f"services: {{ backup: {{ volumes: ['{trusted}:{IN_CONTAINER}:ro'] }} }}\n")
    try:
        yield
    finally:
        envfile.write(env, before)
        override.write_text(override_before)
        assert stackgen("render", "-C", stack.directory).returncode == 0
        shutil.rmtree(stack.directory / ".stackgen/backup", ignore_errors=True)


def init(stack: RunningStack, settings: Mapping[str, str]) -> tuple[int, str]:
    """`stackgen backup init` as an operator types it: the exit code, and what it said."""
    given = {key: value for key, value in settings.items() if key != "BACKUP_REPOSITORY"}
    lines = "".join(f"{key}={value}\n" for key, value in given.items() if BY_KEY[key].secret)
    words = [word for key, value in given.items() if not BY_KEY[key].secret for word in ("--set", f"{key}={value}")]
    place = settings["BACKUP_REPOSITORY"]
    done = stackgen(
        "backup", "init", "--repository", place, "--secrets", "-", *words, "-C", stack.directory, stdin=lines
    )
    return done.returncode, done.stderr


def backup(stack: RunningStack, *command: str, code: int = 0) -> tuple[Any, str]:
    """`stackgen backup VERB --json`, which must end so: what it found out, and what it said to people."""
    done = stackgen("backup", *command, "--json", "-C", stack.directory)
    assert done.returncode == code, done.stderr + done.stdout
    return json.loads(done.stdout or "null"), done.stderr


@contextmanager
def volume_of(stack: RunningStack, user: str) -> Iterator[Path]:
    """A volume of a user's, with files in it: its folder."""
    name = volume_name(stack.settings["VOLUME_PREFIX"], user)
    labels = ("--label", f"stackgen.stack={stack.name}", "--label", f"stackgen.user={user}")
    docker("volume", "create", *labels, name)
    folder = Path(docker("volume", "inspect", "--format", "{{.Mountpoint}}", name))
    try:
        (folder / "笔记").mkdir()
        (folder / "笔记/lab.ipynb").write_text('{"cells": ["a theorem that nobody else knows"]}')
        (folder / "large").write_bytes(secrets.token_bytes(3_000_000))
        (folder / "link").symlink_to("笔记/lab.ipynb")
        (folder / "script").write_text("#!/bin/sh\n")
        (folder / "script").chmod(0o2750)
        (folder / os.fsdecode(b"not utf-8: \xff")).touch()
        os.mkfifo(folder / "fifo")
        for path in [folder, *folder.rglob("*")]:
            os.chown(path, 1000, 1000, follow_symlinks=False)
        (folder / "script").chmod(0o2750)
        yield folder
    finally:
        docker("volume", "rm", name)
