"""The one place that runs other programs."""

import shlex
import subprocess
from collections.abc import Mapping, Sequence

from stackgen.errors import MACHINE, StackgenError
from stackgen.output import say

verbose = False  # set by `-v`: show each command as it could be typed


def run(
    argv: Sequence[str],
    *,
    stdin: str | None = None,
    capture: bool = False,
    check: bool = True,
    environment: Mapping[str, str] | None = None,
    stdout: bool = False,
    answer: bool = False,
) -> subprocess.CompletedProcess[str]:
    """Run a program and wait for it.

    Its output goes to stderr, because stdout is for data; with `stdout` it is the data; with `capture` it is returned
    as text, and so is what it says on stderr; with `answer` the output alone is returned. `stdin` is given to it as
    text; without it there is no standard input. Raises StackgenError if the program is missing, or if it fails and
    `check` is set.
    """
    if verbose:
        say(f"$ {shlex.join(argv)}")
    try:
        done = subprocess.run(
            argv,
            env=environment,
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            stdout=subprocess.PIPE if capture or answer else None if stdout else 2,
            stderr=subprocess.PIPE if capture else None,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        raise StackgenError(f"{argv[0]} is not installed", "install it, then try again", MACHINE) from None
    if check and done.returncode != 0:
        said = "\n".join(((done.stderr or "").strip() or (done.stdout or "").strip()).splitlines()[-10:])
        raise StackgenError(f"{shlex.join(argv)} failed (exit code {done.returncode})", said)
    return done
