"""One volume, in detail."""

from typing import Any

from stackgen import inside
from stackgen.engine import Engine
from stackgen.output import table
from stackgen.settings import Settings
from stackgen.units import minute, size
from stackgen.volumes import find, known_people, quota, user_volumes


def details(settings: Settings, engine: Engine, name: str) -> dict[str, Any]:
    """What there is to know of a user's volume. Raises StackgenError if there is none.

    `quota` in bytes, 0 for none, and `enforced`, whether the file system sees to it.
    """
    volume, _ = find(settings, engine, name)
    [listed] = user_volumes(settings, engine, known_people(settings, engine), [volume])
    measured: dict[str, Any] = inside.look(settings, engine, [volume.name], "measure")[volume.name]
    enforced = int(volume.options.get("size", 0))
    shown = listed.data() | {"state": listed.state, "size": measured.pop("bytes"), "labels": volume.labels}
    return shown | {"quota": enforced or quota(settings), "enforced": bool(enforced)} | measured


def text(shown: dict[str, Any]) -> str:
    """The details for people."""
    limit = "none"
    if shown["quota"]:
        limit = f"{size(shown['quota'])}, {'a limit' if shown['enforced'] else 'above which the user is warned'}"
    rows = [
        ["user", shown["owner"]],
        ["volume", shown["name"]],
        ["state", shown["state"]],
        ["last use (UTC)", minute(shown["last_use"]) or "unknown"],
        ["labels", ", ".join(f"{key}={value}" for key, value in shown["labels"].items()) or "none"],
        ["quota", limit],
        ["size", size(shown["size"])],
        ["files, folders", f"{shown['files']}, {shown['folders']}"],
    ]
    if shown["foreign"]:
        rows.append(["files of others", f"{shown['foreign']}, which the user cannot change"])
    largest = [[item["folder"], size(item["bytes"])] for item in shown["largest"]]
    return table(("", ""), rows).lstrip("\n") + (f"\n\n{table(('largest folder', 'size'), largest)}" if largest else "")
