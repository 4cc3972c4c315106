"""Volumes as tests fill them and look at them: by containers of the stack's own images, as users' servers do."""

import subprocess
from pathlib import Path

from stackgen import names
from tests.conftest import RunningStack, docker, stackgen

# What a volume may hold: names in Chinese and in no encoding at all, links of every kind, holes, odd permissions.
HARD_CASES = r"""
mkdir -p 数学/练习 deep/er odd
echo '{"cells": []}' > 数学/练习/笔记.ipynb
printf x > $'bad\xffname'; printf x > $'new\nline'; printf x > "a 'quoted' name"; printf x > -rf
: > empty; ln empty hard; ln -s 数学 link; ln -s /usr/bin/python3 outside; ln -s nowhere dangling
ln -s /home/sage/notebooks/数学 inside
truncate -s 20M sparse; printf data | dd of=sparse bs=1 seek=10M conv=notrunc status=none
head -c 3M /dev/urandom > big
printf s > setuid; chmod 6755 setuid; printf r > read-only; chmod 0400 read-only
printf z > odd/z; chmod 2000 odd; mkdir sticky; chmod 1777 sticky; chmod 0555 deep/er
mkfifo fifo; touch -d '2001-02-03 04:05:06' old
"""
# each file with its kind, mode, number of links, owner and target, and the hash of its contents; not course material
LOOK = r"""
find . -mindepth 1 \( -path ./shared -prune -o -printf '%p\t%y\t%m\t%n\t%U\t%l\n' \) | sort
find . -path ./shared -prune -o -type f -print0 | sort -z | xargs -0 --no-run-if-empty sha256sum
"""


def volume_of(stack: RunningStack, name: str) -> str:
    """What the volume of a user is called."""
    return names.volume_name(stack.settings["VOLUME_PREFIX"], name)


def in_volume(stack: RunningStack, volume: str, script: str, user: str = "0") -> str:
    """Run a shell script in a volume, which is created if there is none; what it prints."""
    run = ["docker", "run", "--rm", "--interactive", "--network=none", f"--user={user}", "--entrypoint=bash"]
    run += ["--volume", f"{volume}:/home/sage/notebooks", "--workdir=/home/sage/notebooks", f"{stack.name}/sage"]
    done = subprocess.run([*run, "-euo", "pipefail"], input=script.encode(), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode(errors="surrogateescape")


def look(stack: RunningStack, volume: str) -> list[str]:
    """All that a volume holds, to compare."""
    return in_volume(stack, volume, LOOK).splitlines()


def volumes(
    stack: RunningStack, *arguments: str | Path, code: int = 0, stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    """`stackgen volumes ...`, which must end with this exit code."""
    done = stackgen("volumes", *arguments, "-C", stack.directory, stdin=stdin)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done


def exists(volume: str) -> bool:
    """Whether there is such a volume."""
    return volume in docker("volume", "ls", "--quiet").split()
