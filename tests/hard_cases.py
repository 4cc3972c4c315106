"""Users' volumes with all that a backup can get wrong, and digests of them that show any difference."""

import json
import subprocess
from collections.abc import Iterable, Sequence

BUSY = "busy"  # the folder in each volume that `writing` writes to; digests leave it out

FILL = r"""
import os, random, sys
small, large, *volumes = sys.argv[1:]
small, large = int(small), int(large)

def write(path, content=b"", mode=0o644, owner=(1000, 1000), time=None):
    with open(path, "wb") as file:
        file.write(content)
    os.chown(path, *owner)
    os.chmod(path, mode)
    if time is not None:
        os.utime(path, ns=(time, time))

def folder(path, mode=0o755, owner=(1000, 1000)):
    os.makedirs(path, exist_ok=True)
    os.chown(path, *owner)
    os.chmod(path, mode)

for number, volume in enumerate(volumes):
    os.umask(0)
    root = os.fsencode("/v/" + volume)
    rng = random.Random(volume)
    names = [
        "欢迎 Übung 😀.ipynb", "e\u0301 and \u00e9", " blanks ", "-rf", "'quotes\" and \\", "*[a-z]?{x}!#$%",
        "two\nlines", "x" * 255, "..." , "CON.", "a:b;c", "\u202etxt.exe",
    ]
    folder(root + b"/notebooks")
    for name in [os.fsencode(name) for name in names] + [b"not UTF-8 \xff\xfe"]:
        write(root + b"/notebooks/" + name, rng.randbytes(rng.randrange(3000)))
    deep = root + b"/notebooks"
    for level in range(60):
        deep += b"/%02d" % level
        folder(deep)
    write(deep + b"/end", b"here")
    links = root + b"/links"
    folder(links)
    write(links + b"/one", b"the same file\n")
    os.link(links + b"/one", links + b"/two")
    os.link(links + b"/one", root + b"/notebooks/three")
    for target, name in [
        (b"one", b"relative"), (b"/etc/passwd", b"absolute"), (b"../nowhere", b"dangling"), (b"loop", b"loop"),
        (b"..", b"up"), ("汉字".encode(), b"unicode"), (b"x" * 1000, b"long"),
    ]:
        os.symlink(target, links + b"/" + name)
        os.chown(links + b"/" + name, 1000, 1000, follow_symlinks=False)
    os.mkfifo(links + b"/pipe", 0o640)
    modes = root + b"/modes"
    folder(modes)
    for mode in (0o000, 0o001, 0o400, 0o444, 0o600, 0o777, 0o4755, 0o2711, 0o6777):
        write(modes + b"/%04o" % mode, b"%o" % mode, mode)
    for mode in (0o000, 0o500, 0o1777, 0o2775, 0o3770):
        folder(modes + b"/folder %04o" % mode, mode)
    write(modes + b"/folder 0000/inside", b"nobody may look")
    write(modes + b"/somebody else's", b"not mine", 0o640, (1234, 4321))
    write(modes + b"/root's", b"not mine", 0o600, (0, 0))
    write(modes + b"/long ago", b"", 0o644, time=1)
    write(modes + b"/far ahead", b"", 0o644, time=4102444800123456789)
    write(modes + b"/remarks", b"with an attribute")
    os.setxattr(modes + b"/remarks", "user.comment", "erklärt".encode())
    sizes = root + b"/sizes"
    folder(sizes)
    folder(sizes + b"/empty folder")
    write(sizes + b"/empty")
    write(sizes + b"/zeros", bytes(1 << 20))
    write(sizes + b"/same in all", random.Random(0).randbytes(3 << 20))
    write(sizes + b"/sparse")
    with open(sizes + b"/sparse", "r+b") as file:
        for place in (5 << 20, 17 << 20):
            file.seek(place)
            file.write(rng.randbytes(70_000))
        file.truncate(40 << 20)
    if number == 0 and large:
        write(sizes + b"/large")
        with open(sizes + b"/large", "r+b") as file:
            for place in range(0, large, 32 << 20):
                file.seek(place)
                file.write(rng.randbytes(1 << 20))
            file.truncate(large)
    for index in range(small // len(volumes)):
        if index % 200 == 0:
            inside = root + b"/small/%03d" % (index // 200)
            folder(inside)
        with open(inside + b"/%d.txt" % index, "wb") as file:
            file.write(b"%d %s\n" % (index, rng.randbytes(40).hex().encode()))
    folder(root + b"/BUSY", 0o777)
    os.chown(root, 1000, 1000)
""".replace("BUSY", BUSY)

DIGEST = r"""
import hashlib, json, os, stat, sys
skipped, *volumes = sys.argv[1:]

def describe(path, first):
    status = os.lstat(path)
    kind = stat.S_IFMT(status.st_mode)
    about = [oct(status.st_mode), status.st_uid, status.st_gid]
    if kind != stat.S_IFDIR or os.path.basename(path) != b".":
        about.append(status.st_mtime_ns)
    about.append({name: os.getxattr(path, name, follow_symlinks=False).hex()
                  for name in os.listxattr(path, follow_symlinks=False)})
    if kind == stat.S_IFLNK:
        about.append(os.fsencode(os.readlink(path)).hex())
    if kind == stat.S_IFREG:
        with open(path, "rb") as file:
            about += [status.st_size, hashlib.file_digest(file, "blake2b").hexdigest()]
        if status.st_size > 4 << 20:  # a smaller file of zeros may become a sparse one
            about.append("sparse" if status.st_blocks * 512 < status.st_size // 2 else "full")
        about.append(first.setdefault(status.st_ino, path).hex())  # whose other name it is
    return about

for volume in volumes:
    root, found, first = os.fsencode("/v/" + volume), {}, {}
    os.chdir(root)
    for folder, folders, files in os.walk(b"."):
        folders.sort()
        if folder == b"." and os.fsencode(skipped) in folders:
            folders.remove(os.fsencode(skipped))
        for name in [b".", *sorted(files), *[name for name in folders if os.path.islink(os.path.join(folder, name))]]:
            path = os.path.normpath(os.path.join(folder, name))
            found[path.decode("utf-8", "backslashreplace")] = describe(os.path.join(folder, name), first)
    print(json.dumps([volume, found]))
"""

WRITE = r"""
import os, sys, time
folder, number = sys.argv[1], 0
while True:
    number += 1
    with open(f"{folder}/{number % 50}.new", "wb") as file:
        file.write(os.urandom(20_000))
    os.replace(f"{folder}/{number % 50}.new", f"{folder}/{number % 50}")
    with open(f"{folder}/log", "ab") as file:
        file.write(b"%d\n" % number)
    if number % 7 == 0:
        os.unlink(f"{folder}/{number % 50}")
    time.sleep(0.001)
"""


def _argv(image: str, volumes: Iterable[str], *options: str) -> list[str]:
    mounts = [word for volume in volumes for word in ("--volume", f"{volume}:/v/{volume}")]
    usual = ["docker", "run", "--rm", "--interactive", "--network=none", "--user=0", "--entrypoint=python3"]
    return [*usual, *options, *mounts, image]


def _python(image: str, volumes: Sequence[str], code: str, *arguments: str) -> str:
    done = subprocess.run(
        [*_argv(image, volumes), "-", *arguments, *volumes], input=code, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def fill(image: str, volumes: Sequence[str], *, small: int = 100_000, large: int = 2 << 30) -> None:
    """Fill volumes, by a container of an image that has Python.

    Each gets every hard case, all together get `small` small files, and the first one a file of `large` bytes, of which
    a part is data and the rest holes.
    """
    _python(image, volumes, FILL, str(small), str(large))


def digest(image: str, volumes: Sequence[str]) -> dict[str, dict[str, list[object]]]:
    """What each volume holds: of each path all that a backup must bring back, but for the folder BUSY."""
    lines = _python(image, volumes, DIGEST, BUSY).splitlines()
    return dict(json.loads(line) for line in lines)


def writing(image: str, volume: str) -> str:
    """Begin to write into a volume's folder BUSY, and never stop; the container, which `docker rm -f` ends."""
    argv = [*_argv(image, [volume], "--detach"), "-c", WRITE, f"/v/{volume}/{BUSY}"]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()
