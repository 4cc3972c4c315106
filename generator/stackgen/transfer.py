"""Files out of volumes and into them, as tar streams: export, import, copy."""

import os
import secrets
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from stackgen import inside
from stackgen.engine import Engine
from stackgen.errors import USAGE, StackgenError
from stackgen.output import say
from stackgen.settings import Settings
from stackgen.volumes import to_fill, volume_of


@dataclass(frozen=True)
class Options:
    """How files come into a volume: into which folder of it, whether over others, and with links that leave it."""

    into: str = "."
    replace: bool = False
    links_out: bool = False

    def words(self) -> list[str]:
        """As stackgen_hub.volume takes them."""
        flags = {"--replace": self.replace, "--links-out": self.links_out}
        return [f"--into={self.into}", *(flag for flag, wanted in flags.items() if wanted)]


def export(settings: Settings, engine: Engine, volume: str, target: str) -> None:
    """Write a tar of a volume to a new file that only its owner can read, or to standard output if `target` is "-".

    The file is there when it is complete, and not before. Raises StackgenError if there is such a file, or if not all
    could be read.
    """
    mounts, only = {"/volume": volume}, ["/volume"]
    if target == "-":
        if sys.stdout.isatty():
            raise StackgenError("a tar is nothing for a terminal", "name a file, or send it into a pipe", USAGE)
        inside.run(settings, engine, mounts, "export", read_only=only, stdout=sys.stdout.buffer)
        return
    with new_file(Path(target)) as file:
        inside.run(settings, engine, mounts, "export", read_only=only, stdout=file)


@contextmanager
def new_file(path: Path) -> Iterator[IO[bytes]]:
    """A file under another name beside `path`, which gets this name at the end, if nothing goes wrong.

    Raises StackgenError if there is a file of this name, at the beginning or at the end.
    """
    exists = StackgenError(f"{path} is there already, and is not overwritten", "name another file", USAGE)
    if os.path.lexists(path):
        raise exists
    partial = path.with_name(f".{path.name[:200]}.{secrets.token_hex(4)}.part")
    handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(partial, path)  # unlike a renaming, this overwrites nothing
        except PermissionError:  # a file system without links, as USB sticks have
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            partial.replace(path)
    except FileExistsError:
        raise exists from None
    finally:
        partial.unlink(missing_ok=True)


def take(settings: Settings, engine: Engine, owner: str, source: str, options: Options) -> None:
    """Unpack a tar, a file or "-" for standard input, into a user's volume, which is created if there is none.

    Raises StackgenError, with nothing changed, if the tar is damaged, would leave the volume or would overwrite.
    """
    with _opened(source) as tar, to_fill(settings, engine, owner) as volume:
        words = ("import", *options.words())
        report(inside.run(settings, engine, {"/volume": volume}, *words, may=inside.WRITE, stdin=tar))


@contextmanager
def _opened(source: str) -> Iterator[IO[bytes]]:
    if source == "-":
        if sys.stdin.isatty():
            raise StackgenError("there is no tar on standard input", "name a file, or send it into a pipe", USAGE)
        yield sys.stdin.buffer
        return
    with Path(source).open("rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise StackgenError(f"{source} is no file", "for a pipe: -", USAGE)
        yield file


def copy(settings: Settings, engine: Engine, source: str, owner: str, options: Options) -> None:
    """Copy all of a volume into the volume of a user, which is created if there is none; the original stays.

    Raises StackgenError, with nothing changed, if that would overwrite.
    """
    if source == volume_of(settings, owner):
        raise StackgenError(f"{source} would be copied into itself", exit_code=USAGE)
    with to_fill(settings, engine, owner) as volume:
        mounts = {"/source": source, "/volume": volume}
        words = ("import", "--copy", *options.words())
        report(inside.run(settings, engine, mounts, *words, read_only=["/source"], may=inside.WRITE))


def report(merge: dict[str, Any]) -> None:
    """Say what an import has done. Folders that are new as a whole count as one."""
    for path in merge["other"]:
        say(f"replaced {inside.printable(path)}")
    counts = {"new": len(merge["new"]), "replaced": len(merge["other"]), "there already, the same": len(merge["same"])}
    say(", ".join(f"{word}: {count}" for word, count in counts.items()))
