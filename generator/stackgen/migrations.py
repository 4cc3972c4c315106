"""How settings move from one version of stackgen to the next: a function for each version that calls for one."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from stackgen import envfile
from stackgen.versions import number

Move = Callable[[str], tuple[str, list[str]]]


@dataclass(frozen=True)
class Migration:
    """What `version` changes in the text of a .env: the new text, and a line about each change for the operator.

    Functions are pure, leave alone what is not there, and are never changed once their version is released.
    """

    version: str
    move: Move


# In the order of their versions. A setting that is only new needs none: a missing one means its default.
MIGRATIONS: tuple[Migration, ...] = ()


@dataclass(frozen=True)
class Migrated:
    """The text of a .env as a later version wants it, and what was changed in it."""

    text: str
    notes: list[str]


def migrated(text: str, since: str, migrations: Sequence[Migration] | None = None) -> Migrated:
    """The text of .env after every migration of a version later than `since`, one after the other."""
    notes: list[str] = []
    for migration in MIGRATIONS if migrations is None else migrations:
        if number(migration.version) > number(since):
            text, more = migration.move(text)
            notes += more
    return Migrated(text, notes)


def renamed(old: str, new: str) -> Move:
    """A migration that renames a setting. Where both are set the new one holds, as both programs would have it."""

    def move(text: str) -> tuple[str, list[str]]:
        stored = envfile.parse(text)
        if old not in stored:
            return text, []
        if new in stored:
            return _without(text, old), [f"{old} is called {new} now, which is set already: {old} is taken out"]
        return re.sub(rf"^{old}=", f"{new}=", text, flags=re.MULTILINE), [f"{old} is called {new} now"]

    return move


def removed(key: str, why: str) -> Move:
    """A migration that takes a setting out; `why` is the end of the sentence that tells the operator."""

    def move(text: str) -> tuple[str, list[str]]:
        return (_without(text, key), [f"{key} {why}"]) if key in envfile.parse(text) else (text, [])

    return move


def _without(text: str, key: str) -> str:
    return re.sub(rf"^{key}=.*\n?", "", text, flags=re.MULTILINE)
