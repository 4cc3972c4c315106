"""`stackgen base-image`: the Debian base of every image, from a Debian mirror where no registry can be reached."""

import os
import re
import shutil
import tempfile
from pathlib import Path

from stackgen.errors import MACHINE, StackgenError
from stackgen.output import say
from stackgen.process import run

SUITE = "trixie"
HOST_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
PULL_SECONDS = 180  # a registry that is blocked often hangs instead of refusing

# What the official Debian images also set: no package caches in the layers that are built on this one.
APT_CONFIGURATION = """\
DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/*.bin || true"; };
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
Acquire::Languages "none";
APT::AutoRemove::SuggestsImportant "false";
"""


def exists(image: str) -> bool:
    """Whether the engine has this image."""
    return run(["docker", "image", "inspect", image], capture=True, check=False).returncode == 0


def pull(image: str) -> bool:
    """Try to get the image from its registry, for three minutes at most; tell whether it worked."""
    say(f"pulling {image} (gives up after {PULL_SECONDS // 60} minutes)")
    return run(["timeout", str(PULL_SECONDS), "docker", "pull", image], check=False).returncode == 0


def build(image: str, mirror: str = "", bundle: Path = HOST_BUNDLE) -> None:
    """Build `image` with debootstrap and import it into the engine.

    `mirror` is a URL such as http://mirror.example.edu/debian; empty means debootstrap's own default. The certificate
    authorities in `bundle` (PEM) that Debian does not know are added, because a network that intercepts TLS would
    otherwise break every download inside the images. Needs root and debootstrap; takes half a minute.
    """
    if os.geteuid() != 0:
        raise StackgenError("debootstrap needs root", "run: sudo stackgen base-image", MACHINE)
    if not shutil.which("debootstrap"):
        raise StackgenError("debootstrap is not installed", "apt-get install debootstrap", MACHINE)
    with tempfile.TemporaryDirectory(prefix="stackgen-base-") as folder:
        root = Path(folder) / "root"
        say(f"debootstrap: Debian {SUITE} from {mirror or 'the default mirror'}, about half a minute")
        argv = ["debootstrap", "--variant=minbase", "--include=ca-certificates", SUITE, str(root)]
        run([*argv, mirror] if mirror else argv, capture=True)
        _configure(root, bundle)
        say(f"docker import: {image}")
        _import(root, image)


def _configure(root: Path, bundle: Path) -> None:
    sources = root / "etc/apt/sources.list"
    mirror = sources.read_text().split()[1]
    security = re.sub(r"/debian/?$", "/debian-security", mirror)
    lines = [f"deb {mirror} {SUITE} main", f"deb {mirror} {SUITE}-updates main"]
    if security != mirror:
        lines.append(f"deb {security} {SUITE}-security main")
    sources.write_text("\n".join(lines) + "\n")
    (root / "etc/apt/apt.conf.d/stackgen").write_text(APT_CONFIGURATION)
    authorities = root / "usr/local/share/ca-certificates"
    known = set(_certificates(root / "etc/ssl/certs/ca-certificates.crt"))
    extra = [text for text in _certificates(bundle) if text not in known] if bundle.exists() else []
    for number, text in enumerate(extra, start=1):
        (authorities / f"site-{number}.crt").write_text(text)
    if extra:
        say(f"adding {len(extra)} certificate authorities of this machine that Debian does not know")
        run(["chroot", str(root), "update-ca-certificates"], capture=True)
    for leftover in ("var/cache/apt/archives", "var/lib/apt/lists"):
        shutil.rmtree(root / leftover)
        (root / leftover / "partial").mkdir(parents=True)
    for log in (root / "var/log").rglob("*.log"):
        log.unlink()


def _certificates(bundle: Path) -> list[str]:
    """The PEM blocks of a file, each as text that ends with a line break."""
    block = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n?", re.DOTALL)
    return [text.rstrip() + "\n" for text in block.findall(bundle.read_text())]


def _import(root: Path, image: str) -> None:
    archive = root.with_suffix(".tar")
    run(["tar", "--numeric-owner", "-C", str(root), "-cf", str(archive), "."])
    run(["docker", "import", "--change", 'CMD ["bash"]', str(archive), image], capture=True)
