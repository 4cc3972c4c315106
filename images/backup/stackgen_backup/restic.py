"""Runs restic, and puts what it answers into words that name the setting."""

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from datetime import datetime

from stackgen_backup.lock import forget_killed, hosts
from stackgen_backup.report import CONFLICT, SETTINGS, BackupError, say

NO_REPOSITORY, LOCKED, WRONG_PASSWORD = 10, 11, 12  # restic's exit codes, from 0.17 on
PARTLY = 3  # and a snapshot of the rest

STACK_NAME = os.environ["STACK_NAME"]
repository = os.environ.get("BACKUP_REPOSITORY", "")


def read(*arguments: str) -> str:
    """What a command that changes nothing prints. Raises BackupError if it fails."""
    code, text, message = attempt("--no-lock", *arguments)
    if code:
        raise failure(code, message)
    return text


def read_json(*arguments: str) -> object:
    """The same, as JSON."""
    return json.loads(read("--json", *arguments))


def attempt(*arguments: str) -> tuple[int, str, str]:
    """Run restic: its exit code, its standard output, and what it complained about."""
    done = subprocess.run(["restic", *arguments], capture_output=True, text=True, errors="surrogateescape", check=False)
    return done.returncode, done.stdout, message_of(done.stderr.splitlines())


def work(*arguments: str, each: Callable[[dict], None]) -> int:
    """Run a long command with --json, and hand over each of its messages; its exit code, 0 or 3.

    Raises BackupError if it is another one.
    """
    code, message = examine(*arguments, each=each)
    if code not in (0, PARTLY):
        raise failure(code, message)
    return code


def examine(*arguments: str, each: Callable[[dict], None]) -> tuple[int, str]:
    """The same for a command whose failure is an answer: any exit code, and what restic complained about.

    A lock that a killed run of this stack left is taken away first, where it is in the way.
    """
    code, complaints = _unlocked(lambda: _stream(arguments, each))
    return code, message_of(complaints)


def command(*arguments: str) -> str:
    """Run a short command that changes the repository, after the same lock; what it prints. Raises BackupError."""
    code, text, message = _unlocked(lambda: attempt(*arguments))
    if code or "unable to remove" in message:
        raise failure(code, message)
    return text


def _unlocked(run: Callable[[], tuple]) -> tuple:
    """What a command answers, its exit code first; done again if only locks that may go were in its way."""
    answer = run()
    return run() if answer[0] == LOCKED and remove_own_locks() else answer


def _stream(arguments: tuple[str, ...], each: Callable[[dict], None]) -> tuple[int, list[str]]:
    complaints = []
    with subprocess.Popen(
        ["ionice", "-c2", "-n7", "restic", "--json", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="surrogateescape",
    ) as process:  # fmt: skip
        assert process.stdout
        for line in process.stdout:
            message = _parsed(line)
            if message.get("message_type") in (None, "exit_error"):
                complaints.append(line)
            else:
                each(message)
    return process.returncode, complaints


def _parsed(line: str) -> dict:
    try:
        message = json.loads(line)
    except ValueError:
        return {}
    return message if isinstance(message, dict) else {}


def message_of(lines: list[str]) -> str:
    """What restic complained about, in its own words."""
    texts = [_parsed(line).get("message") or line for line in lines if line.strip()]
    return "\n".join(text.strip().removeprefix("Fatal: ") for text in texts[-5:])


def failure(code: int, message: str) -> BackupError:
    """The error for an exit code of restic."""
    if code == NO_REPOSITORY:
        return BackupError(
            f"there is no repository at BACKUP_REPOSITORY={repository}",
            "is the disk mounted, is the address right? A new one is made by: stackgen backup init",
        )
    if code == WRONG_PASSWORD:
        return BackupError(
            f"BACKUP_PASSWORD is not the password of the repository at {repository}",
            "put the right one into .env: it was made, or given, when the repository was initialised",
            SETTINGS,
        )
    if code == LOCKED:
        holders = ", ".join(f"{lock['hostname']} since {lock['time'][:16]}" for lock in locks().values())
        return BackupError(
            f"the repository is locked by {holders or 'somebody else'}",
            "another program works in it; try again when that has ended. If it was killed: restic unlock",
            CONFLICT,
        )
    if "no space left" in message:
        return BackupError(
            f"the disk of the repository at {repository} is full",
            "make room; snapshots made so far are sound, and the next run goes on from what was written",
        )
    if "unable to remove" in message:
        return BackupError(
            f"the server of BACKUP_REPOSITORY={repository} lets nothing be removed",
            "set BACKUP_KEEP=all in .env, and let that server forget old snapshots",
        )
    if re.search(r"<key/|config or key", message):
        return BackupError(
            f"the repository at {repository} is damaged in its folder keys, or its file config",
            "without them nothing of it can be read; bring them back from a copy of the repository",
        )
    if "<index/" in message:
        return BackupError(
            f"an index of the repository at {repository} is damaged",
            "it is made anew from what it describes: docker compose run --rm backup restic repair index",
        )
    return BackupError(f"restic failed (exit code {code}): {message}", f"BACKUP_REPOSITORY is {repository}")


def locks() -> dict[str, dict]:
    """The repository's locks by id."""
    _, text, _ = attempt("--no-lock", "list", "locks")
    found = {}
    for name in text.split():
        code, lock, _ = attempt("--no-lock", "cat", "lock", name)
        if code == 0:  # else it has just gone
            found[name] = _parsed(lock.replace("\n", " "))
    return found


def remove_own_locks() -> bool:
    """Take away the locks that killed runs of this stack left; tell whether there were any.

    Who calls holds the stack's own lock (lock.py), so no other run of it is at work. restic itself would compare
    process numbers, and those of two containers are often the same.
    """
    own = hosts()
    found = locks()
    if not found:
        forget_killed()
        return False
    if all(lock.get("hostname") in own for lock in found.values()):
        say("removing the lock of a backup that was killed")
        removed = attempt("unlock", "--remove-all")[0] == 0
        if removed:
            forget_killed()
        return removed
    return attempt("unlock")[0] == 0 and len(locks()) < len(found)  # those that nobody has renewed for half an hour


def snapshots(stack: str = STACK_NAME) -> list[dict]:
    """The snapshots of a stack, or of all stacks if none is named, the oldest first."""
    found = read_json("snapshots", *(["--host", stack] if stack else []), "--tag", "stackgen")
    assert isinstance(found, list)
    return sorted(found, key=lambda snapshot: datetime.fromisoformat(snapshot["time"]))


def snapshot(wanted: str, stack: str = STACK_NAME) -> dict:
    """One of them by id, or the beginning of it; the newest for `latest`. Raises BackupError if it is not clear."""
    found = snapshots(stack)
    if not found:
        of_stack = f" of the stack {stack}" if stack else ""
        raise BackupError(
            f"the repository at {repository} holds no snapshot{of_stack}", "make one: stackgen backup run"
        )
    stacks = sorted({item["hostname"] for item in found})
    if wanted == "latest" and len(stacks) > 1:
        raise BackupError(f"the repository holds backups of several stacks: {', '.join(stacks)}", "name one: --stack")
    if wanted == "latest":
        return found[-1]
    matching = [item for item in found if item["id"].startswith(wanted.lower())]
    if len(matching) != 1:
        raise BackupError(f"there is no snapshot {wanted}", "see: stackgen backup list")
    return matching[0]


def nodes(snapshot: str, path: str, *, recursive: bool = False) -> Iterator[dict]:
    """What a snapshot holds at a path, itself first; nothing if there is no such path."""
    code, text, message = attempt("--no-lock", "ls", "--json", *(["--recursive"] if recursive else []), snapshot, path)
    if code:
        raise failure(code, message)
    for line in text.splitlines():
        node = _parsed(line)
        if node.get("message_type") == "node" or node.get("struct_type") == "node":
            yield node
