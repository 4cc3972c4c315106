"""What an upgrade would change: versions, settings, files. Reads only."""

import dataclasses
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from stackgen import __version__, envfile
from stackgen.apply import merged_text
from stackgen.changes import RENDERED, Change, State, compare, read
from stackgen.errors import CONFLICT, Problem, StackgenError
from stackgen.migrations import migrated
from stackgen.output import table
from stackgen.render import render
from stackgen.settings import Settings, missing_secrets
from stackgen.stack import Stack
from stackgen.versions import is_older, refuse_newer, rendered_by

# Where the versions of what users meet are pinned.
PINNED = ("images/hub/requirements", "images/sage/requirements")


@dataclass(frozen=True)
class Plan:
    """What would change. `env` is the new text of .env; `notes` say what is done to settings."""

    stack: Stack
    before: str
    env: str
    notes: list[str]
    changes: list[Change]

    @classmethod
    def of(cls, stack: Stack) -> "Plan":
        """The plan for this stack. Raises StackgenError if its .env is not valid, or a newer stackgen rendered it."""
        refuse_newer(stack.directory)
        before = rendered_by(stack.directory)
        moved = migrated(envfile.read_text(stack.env), before)
        secrets = missing_secrets(envfile.parse(moved.text))
        env = envfile.updated(moved.text, secrets) if secrets else moved.text
        notes = [*moved.notes, *(f"{key} is made" for key in secrets)]
        settings = Settings(envfile.parse(env))
        return cls(stack, before, env, notes, compare(render(settings, stack.directory), stack.directory))

    @property
    def pending(self) -> bool:
        """Whether there is anything to upgrade."""
        return is_older(self.stack.directory)

    @cached_property
    def merged(self) -> dict[str, tuple[bytes, bool]]:
        """For each file that the operator edited and that changes: the merged text, and whether that is clean."""
        return {change.path: merged_text(change) for change in self.changes if change.state is State.CONFLICT}

    @property
    def conflicts(self) -> list[Change]:
        """The files that cannot be merged; what they would become holds the marks of the conflict."""
        return [
            dataclasses.replace(change, new=self.merged[change.path][0])
            for change in self.changes
            if change.path in self.merged and not self.merged[change.path][1]
        ]

    def versions(self) -> list[list[str]]:
        """What has another version: name, the one of now, the new one (empty if there is none)."""
        rows = [["stackgen", self.before, __version__]]
        new = {change.path: change.new for change in self.changes}
        for stem in PINNED:
            wanted = _pins(new.get(f"{stem}.in"), new.get(f"{stem}.txt"))
            there = _pins(*(read(self.stack.directory / RENDERED / f"{stem}.{end}") for end in ("in", "txt")))
            for name in sorted(wanted.keys() | there.keys()):
                row = [name, there.get(name, ""), wanted.get(name, "")]
                if row[1] != row[2] and row not in rows:
                    rows.append(row)
        return rows

    def settings(self) -> list[list[str]]:
        """The settings that are new, gone, or have another default, each with what that means here."""
        new = _defaults(next(change.new for change in self.changes if change.path == ".env.example"))
        old = _defaults(read(self.stack.directory / RENDERED / ".env.example"))
        set_here = envfile.parse(self.env)
        rows = [[key, "new"] for key in new if key not in old]
        rows += [[key, "no longer there"] for key in old if key not in new]
        for key in new.keys() & old.keys():
            if new[key] != old[key]:
                effect = "" if set_here.get(key) else ", which holds here"
                rows.append([key, f"default {old[key] or 'empty'} -> {new[key] or 'empty'}{effect}"])
        return sorted(rows)

    def files(self, *, keep_mine: bool = False) -> list[list[str]]:
        """The files that are not as they will be, with what happens to each."""
        return [
            [change.path, self._fate(change, keep_mine=keep_mine)]
            for change in self.changes
            if change.state is not State.SAME
        ]

    def _fate(self, change: Change, *, keep_mine: bool) -> str:
        if change.state is not State.CONFLICT:
            return str(change.state.value)
        if keep_mine:
            return State.EDITED.value
        return "edited by you, merged" if self.merged[change.path][1] else "edited by you: CONFLICT"

    def text(self, *, keep_mine: bool = False) -> str:
        """The plan for people."""
        parts = [table(("version", "now", "new"), self.versions())]
        if settings := self.settings():
            parts.append(table(("setting", "change"), settings))
        if self.notes:
            parts.append("\n".join([".env", *(f"  {note}" for note in self.notes)]))
        if files := self.files(keep_mine=keep_mine):
            parts.append(table(("file", "state"), files))
        return "\n\n".join(parts)

    def data(self) -> dict[str, Any]:
        """The plan for programs."""
        return {
            "pending": self.pending,
            "versions": [dict(zip(("name", "now", "new"), row, strict=True)) for row in self.versions()],
            "settings": dict(self.settings()),
            "notes": self.notes,
            "files": dict(self.files()),
            "conflicts": [change.path for change in self.conflicts],
        }

    def diff(self) -> str:
        """Every file's difference to what it will be."""
        shown = []
        for change in self.changes:
            if change.path in self.merged:
                shown.append(dataclasses.replace(change, new=self.merged[change.path][0]).diff())
            elif change.state in (State.NEW, State.CHANGED):
                shown.append(change.diff())
        return "".join(shown)

    def conflict(self) -> StackgenError:
        """The error for files that cannot be merged."""
        return StackgenError(
            [
                Problem(
                    f"{change.path} was edited by you where the new version changes it too; nothing was touched",
                    f"{change.path}.new shows both: change {change.path} so that both agree, or keep yours as it is "
                    "with --keep-mine; then run stackgen upgrade again",
                )
                for change in self.conflicts
            ],
            exit_code=CONFLICT,
        )


def _pins(wanted: bytes | None, pinned: bytes | None) -> dict[str, str]:
    """The pinned version of each package that is asked for by name, not as a dependency of another."""
    names = re.findall(r"^([A-Za-z0-9._-]+)", (wanted or b"").decode(), flags=re.MULTILINE)
    versions = dict(
        re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^\s;\\]+)", (pinned or b"").decode(), re.MULTILINE)
    )
    lower = {name.lower().replace("_", "-"): version for name, version in versions.items()}
    return {name: lower.get(name.lower().replace("_", "-"), "") for name in names}


def _defaults(example: bytes | None) -> dict[str, str]:
    """The settings of a .env.example with their defaults."""
    return dict(re.findall(r"^#([A-Z][A-Z0-9_]*)=(.*)$", (example or b"").decode(), flags=re.MULTILINE))
