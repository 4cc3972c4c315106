"""What stackgen does inside a volume, in a throw-away container without network: `python -m stackgen_hub.volume`.

Answers are JSON on standard output, or the tar of an export. What is refused is JSON on the last line of standard
error, with exit code 3 for a conflict and 1 for all else.
"""

import argparse
import json
import os
import stat
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from stackgen_hub import shared, unpack
from stackgen_hub.unpack import STAGING, UID, Refused

VOLUME = Path("/volume")
LARGEST = 5
# as a tar that everybody's programs read: no times of access, sparse files as PAX has them
TAR = [
    "tar", "--create", "--format=posix", "--pax-option=delete=atime,delete=ctime", "--sparse", "--numeric-owner",
    "--sort=name", "--warning=no-file-changed", "--warning=no-file-removed", f"--exclude=./{STAGING}*",
]  # fmt: skip


def export(source: Path, output: IO[bytes]) -> None:
    """Write a tar of all files. Raises Refused if one cannot be read; what changes meanwhile is taken as it is."""
    done = subprocess.run([*TAR, f"--directory={source}", "."], stdout=output, check=False)
    if done.returncode > 1:
        raise Refused("tar could not read every file of the volume")


def take(volume: Path, source: Path | None, *, into: str, replace: bool, links_out: bool) -> dict[str, Any]:
    """Unpack the tar on standard input, or all of the folder `source`, into the volume; what came of it."""
    if not any(volume.iterdir()) and volume.stat().st_uid != UID:
        os.chown(volume, UID, UID)  # a new one; otherwise its user could not write to it
    with unpack.staging(volume) as folder:
        if source:
            with subprocess.Popen([*TAR, f"--directory={source}", "."], stdout=subprocess.PIPE) as tar:
                unpack.unpack(_pipe(tar.stdout), folder, links_out=True)
            if tar.returncode > 1:
                raise Refused("tar could not read every file of the volume")
        else:
            unpack.unpack(sys.stdin.buffer, folder, links_out=links_out)
        merge = unpack.settle(folder, unpack.folder_in(volume, into), replace=replace)
    return asdict(merge)


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream  # Popen was asked for one
    return stream


def measure(volume: Path) -> dict[str, Any]:
    """What a volume holds: bytes on disk, numbers of files, the largest folders, and whose files are not UID's."""
    seen: set[tuple[int, int]] = set()
    total = files = folders = foreign = 0
    largest: dict[str, int] = {}
    for parent, names, others in os.walk(volume):
        for name in (*names, *others):
            path = Path(parent, name)
            try:
                status = path.lstat()
            except FileNotFoundError:  # its user has removed it meanwhile
                continue
            foreign += status.st_uid != UID
            is_folder = stat.S_ISDIR(status.st_mode)
            folders += is_folder
            files += not is_folder
            if not is_folder and (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            total += status.st_blocks * 512
            inside = path.relative_to(volume).parts
            if is_folder or len(inside) > 1:
                largest[inside[0]] = largest.get(inside[0], 0) + status.st_blocks * 512
    top = sorted(largest.items(), key=lambda item: -item[1])[:LARGEST]
    own = volume.stat().st_uid
    return {
        "bytes": total, "files": files, "folders": folders, "foreign": foreign + (own != UID and files + folders > 0),
        "largest": [{"folder": name, "bytes": size} for name, size in top],
    }  # fmt: skip


def holds(volume: Path, name: str) -> bool:
    """Whether there is something of this name that a folder mounted there would hide; an empty folder is nothing."""
    path = volume / name
    if not os.path.lexists(path):
        return False
    return path.is_symlink() or not path.is_dir() or any(path.iterdir())


def give(volume: Path) -> int:
    """Give every file that is another's to UID, with its mode as it is; how many there were."""
    changed = 0
    paths = [volume]
    for parent, folders, files in os.walk(volume):
        paths += [Path(parent, name) for name in (*folders, *files)]
    for path in paths:
        status = path.lstat()
        if status.st_uid != UID:
            os.lchown(path, UID, UID)
            if not path.is_symlink() and status.st_mode & (stat.S_ISUID | stat.S_ISGID):
                path.chmod(stat.S_IMODE(status.st_mode))  # which a change of the owner takes away
            changed += 1
    return changed


def answer(arguments: argparse.Namespace) -> Any:
    """Do what was asked; what is to be printed."""
    match arguments.verb:
        case "export":
            export(VOLUME, sys.stdout.buffer)
            return None
        case "import":
            source = Path("/source") if arguments.copy else None
            return take(VOLUME, source, into=arguments.into, replace=arguments.replace, links_out=arguments.links_out)
        case "measure":
            return {path.name: measure(path) for path in sorted(Path("/volumes").iterdir())}
        case "holding":
            return {path.name: holds(path, arguments.name) for path in sorted(Path("/volumes").iterdir())}
        case "give":
            return give(VOLUME)
        case "publish":
            return shared.publish(VOLUME, sys.stdin.buffer, replace=arguments.replace, delete=arguments.delete)
        case "clear":
            return shared.clear(VOLUME)
    raise AssertionError(arguments.verb)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="stackgen_hub.volume")
    verbs = top.add_subparsers(dest="verb", required=True)
    verbs.add_parser("export", help="write a tar of /volume")
    take_in = verbs.add_parser("import", help="unpack a tar into /volume")
    take_in.add_argument("--into", default=".")
    for flag in ("--replace", "--links-out", "--copy"):
        take_in.add_argument(flag, action="store_true")
    verbs.add_parser("measure", help="what each of /volumes/* holds")
    verbs.add_parser("holding", help="whether each of /volumes/* has something of this name").add_argument("name")
    verbs.add_parser("give", help="give every file of /volume to users' servers")
    publish = verbs.add_parser("publish", help="put the files of a tar into the shared folder /volume")
    for flag in ("--replace", "--delete"):
        publish.add_argument(flag, action="store_true")
    verbs.add_parser("clear", help="remove everything from the shared folder /volume")
    return top


def main() -> int:
    """Run a verb; the exit code."""
    arguments = parser().parse_args()
    try:
        found = answer(arguments)
        if arguments.verb != "export":
            print(json.dumps(found))
    except (Refused, OSError) as error:
        refused = error if isinstance(error, Refused) else unpack.refusal(error)
        print(json.dumps(refused.data), file=sys.stderr)
        return 3 if refused.data["conflict"] else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
