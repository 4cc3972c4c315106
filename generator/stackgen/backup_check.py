"""`stackgen backup check` and `forget`: what they ask the container, and how they show what it answers."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from stackgen import backup
from stackgen.engine import Engine
from stackgen.restore import MAY
from stackgen.stack import Stack
from stackgen.units import minute, size

HEADER = ("user", "volume", "files", "size", "as on this machine", "verdict")
FORGET_HEADER = ("snapshot", "time (UTC)", "")
TRIAL = ("--volume", "/scratch", *MAY)  # a volume that the engine removes with the container, however that ends


def check(stack: Stack, engine: Engine, read_data: str, *, prove: bool) -> dict[str, Any]:
    """Check the repository, reading a part of what it holds (100%: all, empty: nothing), and with `prove` restore.

    The report, also of a repository that is damaged. Raises StackgenError if it cannot be checked.
    """
    words = (*(("--read-data", read_data) if read_data else ()), *(("--restore",) if prove else ()))
    done = backup.run_verb(stack, engine, "check", *words, options=TRIAL if prove else ())
    if not done.stdout:
        raise backup.ended(done.returncode)
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def is_sound(report: Mapping[str, Any]) -> bool:
    """Whether nothing is damaged."""
    return not report["errors"] and not any(part["problems"] for part in report.get("restored", []))


def rows(parts: list[Mapping[str, Any]]) -> Iterator[list[str]]:
    """What was restored for trial, for people."""
    for part in parts:
        verdict = "damaged" if part["problems"] else "restored"
        yield [part["owner"], part["name"], str(part["files"]), size(part["bytes"]), str(part["unchanged"]), verdict]


def forget_rows(report: Mapping[str, Any]) -> Iterator[list[str]]:
    """What is kept and what is forgotten, for people, the oldest first."""
    marked = [(item, word) for word in ("keep", "remove") for item in report[word]]
    for item, word in sorted(marked, key=lambda pair: str(pair[0]["time"])):
        yield [item["id"][:8], minute(item["time"]), word]
