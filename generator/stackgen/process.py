"""The one place that runs other programs."""

import shlex
import subprocess
from collections.abc import Mapping, Sequence
from typing import IO

from stackgen.errors import MACHINE, StackgenError
from stackgen.output import say

verbose = False  # set by `-v`: show each command as it could be typed
held: list[int] = []  # file descriptors that programs hold open, too, such as a lock that outlives us with them


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
            pass_fds=held,
        )
    except FileNotFoundError:
        raise _missing(argv[0]) from None
    if check and done.returncode != 0:
        said = "\n".join(((done.stderr or "").strip() or (done.stdout or "").strip()).splitlines()[-10:])
        raise StackgenError(f"{shlex.join(argv)} failed (exit code {done.returncode})", said)
    return done


def stream(
    argv: Sequence[str], *, stdin: IO[bytes] | None, stdout: IO[bytes] | None
) -> subprocess.CompletedProcess[bytes]:
    """Run a program that reads and writes files or pipes, and wait for it; it may fail.

    What it prints on stderr is returned, and what it prints on stdout unless that goes to `stdout`. Raises
    StackgenError if the program is missing.
    """
    if verbose:
        say(f"$ {shlex.join(argv)}")
    try:
        return subprocess.run(
            argv,
            stdin=stdin or subprocess.DEVNULL,
            stdout=stdout or subprocess.PIPE,
            stderr=subprocess.PIPE,
            check=False,
        )
    except FileNotFoundError:
        raise _missing(argv[0]) from None


def _missing(program: str) -> StackgenError:
    return StackgenError(f"{program} is not installed", "install it, then try again", MACHINE)
