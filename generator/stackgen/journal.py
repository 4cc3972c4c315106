"""The journal of an upgrade, in .stackgen/upgrade/: how far it is, and everything that takes it back.

It is written before each step, so whatever was interrupted is gone on with, or undone, by the next command.
"""

import contextlib
import fcntl
import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from stackgen import __version__, process
from stackgen.apply import write
from stackgen.changes import OFFERED, RENDERED, read
from stackgen.errors import CONFLICT, Problem, StackgenError
from stackgen.output import say
from stackgen.render import is_operators
from stackgen.versions import RECORD, is_older, refuse_newer, rendered_by

FOLDER = ".stackgen/upgrade"
REPLACED = ".stackgen/replaced"  # what a rollback found that the upgrade had not written: nobody's work is lost
LOCK = ".stackgen/upgrade.lock"
STEPS = ("files", "images", "database", "start", "check")
DONE, UNDOING = "done", "undoing"


@dataclass
class Journal:
    """One upgrade. `step` is the step that has begun, one of STEPS, or DONE, or UNDOING."""

    directory: Path
    before: str  # versions
    after: str
    identity: str  # of this upgrade: letters and digits
    images: dict[str, str]  # the id of each image by its name
    running: bool  # whether the stack was up
    servers: dict[str, str]  # users whose servers answered, and the names of their containers
    paths: list[str]  # every file that the upgrade may write or remove
    keep_mine: bool = False
    written: dict[str, str] = field(default_factory=dict)  # the digest of each file as the upgrade left it
    database: dict[str, str] = field(default_factory=dict)  # what it was, as database_copy.py says
    step: str = STEPS[0]
    reached: str = STEPS[0]  # the last step that had begun when it was undone

    @classmethod
    def of(cls, directory: Path) -> "Journal | None":
        """The journal of the last upgrade, if there is one. Raises StackgenError if it cannot be read."""
        content = read(directory / FOLDER / "journal.json")
        if content is None:
            return None
        try:
            return cls(directory=directory, **json.loads(content))
        except (ValueError, TypeError):
            raise StackgenError(
                f"{directory / FOLDER}/journal.json cannot be read",
                f"the files as they were before the upgrade are in {directory / FOLDER}/before",
            ) from None

    @property
    def unfinished(self) -> bool:
        """Whether the upgrade, or its undoing, stopped somewhere in between."""
        return self.step != DONE

    def begin(self) -> None:
        """Copy every file that may change, and then write the journal: from here on there is something to undo."""
        self.forget()
        for path in self.paths:
            content = read(self.directory / path)
            if content is not None:
                _copy(content, self.folder / "before" / path, (self.directory / path).stat().st_mode & 0o777)
        self.enter(STEPS[0])

    def enter(self, step: str) -> None:
        """Note that a step begins."""
        self.step = step
        if step in STEPS:
            self.reached = step
        kept = {key: value for key, value in asdict(self).items() if key != "directory"}
        _copy(json.dumps(kept, indent=2).encode(), self.folder / "journal.json", 0o600)

    def reached_step(self, step: str) -> bool:
        """Whether this step had begun."""
        return STEPS.index(self.reached) >= STEPS.index(step)

    def forget(self) -> None:
        """Remove journal and copies; the journal first, so that copies without one are never taken for whole."""
        (self.folder / "journal.json").unlink(missing_ok=True)
        if self.folder.exists():
            shutil.rmtree(self.folder)

    @property
    def folder(self) -> Path:
        """Where the journal is."""
        return self.directory / FOLDER

    def original(self, path: str) -> bytes | None:
        """A file as it was before the upgrade, or None if there was none."""
        return read(self.folder / "before" / path)

    def note_written(self) -> None:
        """Remember the files as they are now, so that what is edited later can be told from them."""
        for path in self.paths:
            content = read(self.directory / path)
            if content is not None and not path.startswith(".stackgen/"):
                self.written[path] = _digest(content)

    def restore(self) -> list[str]:
        """Bring every file back as it was, and return those that were edited since the upgrade wrote them.

        These are kept in .stackgen/replaced. May be interrupted and repeated.
        """
        replaced, kept = [], set()
        for path in self.paths:
            now, then = read(self.directory / path), self.original(path)
            if now is None or now == then or path.startswith(".stackgen/") or self._is_ours(path, now):
                continue
            if then is None and is_operators(path):
                kept.add(path)  # begun by the upgrade, and the operator's own by now
            else:
                _copy(now, self.directory / REPLACED / path, 0o600)
                replaced.append(path)
        # .stackgen/ comes last: until then it tells what the upgrade had rendered
        for path in sorted(set(self.paths) - kept, key=lambda path: (path.startswith(".stackgen/"), path)):
            target, then = self.directory / path, self.original(path)
            if then is None:
                target.unlink(missing_ok=True)
            elif read(target) != then:
                write(target, then, mode=(self.folder / "before" / path).stat().st_mode & 0o777)
        return replaced

    def _is_ours(self, path: str, content: bytes) -> bool:
        return self.written.get(path) == _digest(content) or content in (
            read(self.directory / RENDERED / path),
            read(self.directory / OFFERED / path.removesuffix(".new")),
        )


def claim(directory: Path) -> None:
    """Record that this stackgen renders here, before it does. Raises StackgenError if another version has.

    Before and not after: a run that is interrupted in between is finished by the next one.
    """
    refuse_others(directory)
    if read(directory / RECORD) is None:
        record(directory)


def refuse_others(directory: Path) -> None:
    """Raise StackgenError if another version has rendered here, or an upgrade is under way."""
    refuse_newer(directory)
    if said := due(directory):
        raise StackgenError(said.message, said.hint, CONFLICT)


def due(directory: Path) -> Problem | None:
    """The upgrade that is due here, or that was interrupted, as the operator should know of it."""
    journal = Journal.of(directory)
    if journal and journal.unfinished:
        return Problem(
            f"the upgrade from {journal.before} to {journal.after} was interrupted",
            "go on with it: stackgen upgrade; or go back: stackgen rollback",
        )
    if is_older(directory):
        return Problem(
            f"stackgen {rendered_by(directory)} rendered this stack, and this is stackgen {__version__}",
            "stackgen upgrade --check shows what would change; stackgen upgrade does it, and can go back. "
            "To start it as it is: docker compose up -d",
        )
    return None


def record(directory: Path) -> None:
    """Write down that this version renders here."""
    write(directory / RECORD, f"{__version__}\n".encode())


def paths_of(files: Iterable[str], directory: Path) -> list[str]:
    """Every path that an upgrade may write for these rendered files, and .env."""
    paths = [".env", RECORD]
    for file in files:
        paths.append(f"{RENDERED}/{file}")
        if not is_operators(file) or read(directory / file) is None:  # else written once, and never again
            paths += [file, f"{file}.new", f"{OFFERED}/{file}"]
    return paths


@contextlib.contextmanager
def alone(directory: Path) -> Iterator[None]:
    """Hold the lock of upgrades; wait for whoever holds it.

    The programs that are run meanwhile hold it, too: what goes on after a `kill -9` of stackgen, such as a build, has
    ended when the next upgrade begins.
    """
    (directory / LOCK).parent.mkdir(exist_ok=True)
    with (directory / LOCK).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("an upgrade or rollback of this stack is running: waiting until it has ended")
            fcntl.flock(file, fcntl.LOCK_EX)
        process.held.append(file.fileno())
        try:
            yield
        finally:
            process.held.remove(file.fileno())


def _copy(content: bytes, target: Path, mode: int) -> None:
    """Write a copy in a folder that only its owner may enter, and see it on the disk before the next step begins."""
    for folder in reversed(target.parents):
        if not folder.exists():
            folder.mkdir(mode=0o700)
    write(target, content, mode=mode, durable=True)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
