"""Work inside volumes: a throw-away container of the hub's image does it, never a path of this machine.

The image has Python, tar and stackgen_hub.volume, which does the work; it is there wherever a stack was ever built.
"""

import json
import subprocess
from collections.abc import Mapping, Sequence
from typing import IO, Any

from stackgen import process
from stackgen.engine import Engine
from stackgen.errors import CONFLICT, FAILED, MACHINE, Problem, StackgenError
from stackgen.settings import Settings

READ = ("DAC_READ_SEARCH",)
WRITE = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID")  # to write as root what belongs to a user, modes and all
SHOWN = 20  # files that an error names
AT_ONCE = 100  # volumes that one container looks into


def argv(
    image: str, mounts: Mapping[str, str], *verb: str, read_only: Sequence[str] = (), may: Sequence[str] = READ
) -> list[str]:
    """`docker run` for a verb of stackgen_hub.volume.

    `mounts` are volumes by the paths at which the container has them; those in `read_only` it cannot write. Nothing of
    what it prints is logged, because an export would fill the disk.
    """
    arguments = ["docker", "run", "--rm", "--interactive", "--pull=never", "--network=none", "--log-driver=none"]
    arguments += ["--read-only", "--cap-drop=ALL", *(f"--cap-add={name}" for name in may)]
    arguments += ["--security-opt=no-new-privileges", "--entrypoint=tini"]
    for path, volume in mounts.items():
        mount = f"type=volume,src={volume},dst={path},volume-nocopy"
        arguments += ["--mount", f"{mount},readonly" if path in read_only else mount]
    return [*arguments, image, "--", "python", "-I", "-m", "stackgen_hub.volume", *verb]


def run(
    settings: Settings,
    engine: Engine,
    mounts: Mapping[str, str],
    *verb: str,
    read_only: Sequence[str] = (),
    may: Sequence[str] = READ,
    stdin: IO[bytes] | None = None,
    stdout: IO[bytes] | None = None,
) -> Any:
    """Run a verb and return its answer, or None if its output goes to `stdout`.

    Raises StackgenError if a volume or the image is missing, or with what the verb refused.
    """
    image = f"{settings['STACK_NAME']}/hub"
    if not engine.image_id(image):
        raise StackgenError(f"the image {image} is not there, which works in volumes", "build it: stackgen up", MACHINE)
    for volume in mounts.values():
        if not engine.volume(volume):  # `docker run` would make one
            raise StackgenError(f"there is no volume {volume}", "see: stackgen volumes list")
    done = process.stream(argv(image, mounts, *verb, read_only=read_only, may=may), stdin=stdin, stdout=stdout)
    if done.returncode != 0:
        raise _refused(done)
    return None if stdout else json.loads(done.stdout)


def look(settings: Settings, engine: Engine, volumes: Sequence[str], *verb: str) -> dict[str, Any]:
    """What a verb that only reads answers of each of these volumes, by name. Raises StackgenError as `run` does."""
    found: dict[str, Any] = {}
    for start in range(0, len(volumes), AT_ONCE):
        mounts = {f"/volumes/{number}": name for number, name in enumerate(volumes[start : start + AT_ONCE])}
        answer = run(settings, engine, mounts, *verb, read_only=list(mounts))
        found |= {name: answer[path.rpartition("/")[2]] for path, name in mounts.items()}
    return found


def _refused(done: subprocess.CompletedProcess[bytes]) -> StackgenError:
    said = done.stderr.decode(errors="replace").strip()
    try:
        refused = json.loads(said.rpartition("\n")[2])
        message, hint, details = refused["message"], refused["hint"], refused["details"]
    except (ValueError, KeyError, TypeError):
        hint = "build the images anew: stackgen up" if "stackgen_hub.volume" in said else ""
        lines = [line for line in said.splitlines() if line and not line.startswith(("See '", "Run '"))]
        message = lines[-1] if lines else f"exit code {done.returncode}"
        return StackgenError(f"the work inside the volume failed: {message}", hint)
    before = said.rpartition("\n")[0].splitlines()  # what tar said
    problems = [Problem(line) for line in before[-SHOWN:]] + [Problem(printable(path)) for path in details[:SHOWN]]
    if len(details) > SHOWN:
        problems.append(Problem(f"... and {len(details) - SHOWN} more"))
    return StackgenError([*problems, Problem(message, hint)], exit_code=CONFLICT if refused["conflict"] else FAILED)


def printable(path: str) -> str:
    """A file's name from a volume: its user chose it, and it must not move the operator's cursor."""
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in path)
