"""Takes out of Sage's virtual environment what no undergraduate course uses; run once, while the image is built.

    slim.py PREFIX      PREFIX is the virtual environment, for example /opt/sage

A rule that matches nothing ends the build: after an upgrade the lists below are still true. docs/sage-image.md tells
users what is missing and how it comes back. What looks superfluous and is not: the .pyc files (without them each start
costs 2.7 s), ECL's cmp.fas and Maxima's share/*/src (Maxima loads them), share/info of Maxima and Singular (their help
is read from there), the .pyx, .pxd and .h files (`??`, `sage -t` and `%%cython` read them).
"""

import gzip
import os
import shutil
import subprocess
import sys
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

# What goes, with the reason. Patterns start at site-packages.
REMOVED = {
    "for linking programs; not Cython's own, its templates": ["**/*.a", "[!C]*/**/*.c", "[!C]*/**/*.cpp"],
    "tests of libraries, not of Sage": [
        *(f"{package}/**/tests" for package in ("jupyterhub", "jupyterlab", "matplotlib", "mpmath", "networkx")),
        *(f"{package}/**/tests" for package in ("scipy", "sympy")),
        "numpy/*/tests",
        "gap/pkg/*/tst",
        "sage_wheels/bin/test*",
        "sage_wheels/share/maxima/*/tests",
    ],
    "manuals in formats that neither `?` nor help() reads": [
        "gap/pkg/ctbllib/doc2",
        "sage_wheels/share/maxima/*/demo",
        "sage_wheels/share/maxima/*/doc",
        "sage_wheels/share/maxima/*/share/**/*.pdf",
    ],
    "languages that JupyterLab's pages do not have here": [
        "babel/locale-data/[!erz]*.dat",
        "babel/locale-data/[erz][!nho]*.dat",
        "sphinx/locale/*/",
        "sphinxcontrib/*/locales",
    ],
    "GAP packages for research, not for courses": [
        f"gap/pkg/{package}"
        for package in """
            anupq cap cohomolo corelg examplesforhomalg ferret fining fr francy generalizedmorphismsforcap
            gradedmodules gradedringforhomalg guarana hap hapcryst homalg homalgtocas intpic irredsol jupyterkernel
            jupyterviz kbmag liepring liering linearalgebraforcap localizeringforhomalg localnr loops
            matricesforhomalg modisom modulepresentationsforcap modules monoidalcategories orb profiling qpa rcwa
            recog ringsforhomalg simpcomp sla smallantimagmas spinsym toolsforhomalg walrus zeromqinterface
        """.split()  # noqa: SIM905 (as a list it would be a page long)
    ],
    "so that pip brings back what was taken out of packages of data": [
        f"passagemath_gap_pkg_{name}_data-*" for name in ("factint", "irredsol", "tomlib", "transgrp")
    ],
    "transitive groups of degree 32 and more: Sage's own tables end at 31": [
        "gap/pkg/transgrp/data/trans3[2-9]*",
        "gap/pkg/transgrp/data/trans4*",
    ],
    "tables of marks of the largest groups, such as S12 and He:2": [
        *(f"gap/pkg/tomlib/data/{name}.tom.gz" for name in ("tm2f42", "tmhe2", "tmo8*", "tms12", "tms13")),
    ],
    "factors of b^n-1 for bases that the Cunningham tables do not have": ["gap/pkg/factint/tables/brent"],
    "Maxima's translations of numerical Fortran libraries: NumPy and SciPy do this work": [
        f"sage_wheels/{part}/share/{package}"
        for part in ("lib/maxima/*/binary-ecl", "share/maxima/*")
        for package in ("affine", "colnew", "fftpack5", "hompack", "lapack", "odepack")
    ],
    "parts of ECL that only its compiler and other programs use": [
        "sage_wheels/lib/ecl-*/ecl_min",
        "sage_wheels/lib/ecl-*/kenzo.fas",
    ],
    "PALP for polytopes of fixed dimensions: the general programs stay": ["sage_wheels/bin/*-*d.x"],
    "nauty's tools that Sage does not call": [
        f"sage_wheels/bin/{tool}"
        for tool in """
            NRswitchg addedgeg addptg amtog ancestorg assembleg biplabg catg complg copyg countg countneg cubhamg
            deledgeg delptg dimacs2g dreadnaut dretodot dretog edgetransg genquarticg genrang genspecialg gentreeg
            hamheuristic labelg linegraphg listg nbrhoodg newedgeg pickg planarg productg ranlabg ransubg shortg
            showg subdivideg twohamg underlyingg uniqg vcolg watercluster2
        """.split()  # noqa: SIM905 (as a list it would be a page long)
    ],
    "a PARI kernel with its libraries, and a translator to C": [
        *(f"passagemath_*.libs/lib{library}-*" for library in ("crypto", "uuid", "xeus", "zmq")),
        "../../../share/jupyter/kernels/pari_jupyter",
        "../../../share/jupyter/kernels/xeus-gp",
        "sage_wheels/bin/gp2c*",
        "sage_wheels/bin/xeus-gp",
    ],
    "second copies: what JupyterLab serves is in share/jupyter/lab": ["jupyterlab/static", "jupyterlab/galata"],
    "Notebook 6's pages, which neither JupyterLab nor Notebook 7 serves": [
        "../../../share/jupyter/nbextensions",
        "widgetsnbextension/static",
    ],
    "the hub's own pages: a user's server shows none": ["../../../share/jupyterhub/static"],
    "versions of three.js that this Sage does not ask for": [
        "jupyter_threejs_sage/static/r12[!2]",
        "jupyter_threejs_sage/static/r130",
    ],
    "AV1 pictures": ["PIL/_avif*", "pillow.libs/libavif*"],
    "types of libraries that are not here, for completion": ["jedi/third_party/*/stubs", "jedi/third_party/django*"],
    "a debugger: 18 MB, and it does not understand Sage's preparser": ["debugpy", "debugpy-*", "../../../bin/debugpy*"],
    "builds a grammar at import, 0.5 s of each server start; jsonschema does without": [
        "rfc3987_syntax",
        "rfc3987_syntax-*",
        "lark",
        "lark-*",
    ],
}

# GAP reads FILE.gz where FILE is asked for, and takes no longer.
COMPRESSED = ["gap/grp/*.grp", "gap/lib/*.g", "gap/lib/*.gd", "gap/lib/*.gi", "gap/pkg/ctbllib/data/*.tbl"]

# Maxima and ECL find their own symbols at run time; the rest needs only what the dynamic linker reads.
KEEPS_ITS_SYMBOLS = ("/sage_wheels/bin/", "/ecl", "/maxima")


def matches(site: Path, pattern: str) -> list[Path]:
    """What a pattern means at this moment; ends the build if that is nothing."""
    found = list(site.glob(pattern))
    if not found:
        sys.exit(f"slim.py: nothing matches {pattern}; take it out of the list or find its new name")
    return found


def remove(site: Path) -> None:
    """Removes all that REMOVED names, and says what that saves."""
    for reason, patterns in REMOVED.items():
        saved = 0
        for pattern in patterns:
            for path in matches(site, pattern):
                if path.is_symlink():
                    path.unlink()
                elif path.exists():  # not gone with a folder around it
                    saved += size(path)
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
        print(f"{saved / 1e6:7.0f} MB  {reason}", flush=True)


def compress(site: Path) -> None:
    """Turns big tables of GAP into the .gz files that GAP reads as well."""
    for pattern in COMPRESSED:
        for path in matches(site, pattern):
            path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes(), compresslevel=6, mtime=0))
            path.unlink()


def share_libraries(site: Path) -> None:
    """Each wheel brings its own copies of the same libraries: one stays, and symbolic links take the others' places.

    The name holds a hash of the library's content before its search path was written into it, so equal names mean equal
    libraries; the dynamic linker would load only one of them anyway.
    """
    copies = defaultdict(list)
    for path in sorted(site.glob("*.libs/*")):
        copies[path.name].append(path)
    for first, *others in copies.values():
        for other in others:
            other.unlink()
            other.symlink_to(os.path.relpath(first, other.parent))


def strip(prefix: Path) -> None:
    """Takes debugging symbols, and those that only a linker reads, out of programs and libraries."""

    def is_elf(path: Path) -> bool:
        if path.is_symlink() or not path.is_file():
            return False
        with path.open("rb") as file:
            return file.read(4) == b"\x7fELF"

    def run(path: Path) -> None:
        debug_only = any(part in str(path) for part in KEEPS_ITS_SYMBOLS)
        subprocess.run(["strip", "--strip-debug" if debug_only else "--strip-unneeded", path], check=True)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(run, filter(is_elf, sorted(prefix.rglob("*")))))


def size(top: Path) -> int:
    """Bytes on disk of a file, or of a folder with all below it, each file counted once."""
    files = (path.lstat() for path in (top, *top.rglob("*")))
    return sum({file.st_ino: file.st_blocks * 512 for file in files}.values())


def main(prefix: Path) -> None:
    """Slims the virtual environment at this prefix."""
    (site,) = prefix.glob("lib/python3*/site-packages")
    print(f"{size(prefix) / 1e6:7.0f} MB as installed", flush=True)
    share_libraries(site)
    print(f"{size(prefix) / 1e6:7.0f} MB with one copy of each library", flush=True)
    remove(site)
    compress(site)
    print(f"{size(prefix) / 1e6:7.0f} MB without what goes", flush=True)
    strip(prefix)
    print(f"{size(prefix) / 1e6:7.0f} MB without symbols", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
