"""Sage's own doctests of ten modules that courses rest on, run as a user would: `sage -t` in the image."""

import re

import pytest

from tests.conftest import docker

# How many doctests each module has in this version: fewer would mean that Sage skips some, because a part is missing.
# None may fail. As pip leaves the packages (image stage sage-install, see bench/image), the counts are the same, and
# three of calculus.py fail, at `e^M` of a matrix.
MODULES = {
    "arith/misc": 1117,
    "calculus/calculus": 480,
    "calculus/desolvers": 237,
    "combinat/combinat": 280,
    "geometry/polyhedron/constructor": 109,
    "graphs/generators/basic": 205,
    "groups/perm_gps/permgroup_named": 550,
    "plot/graphics": 211,
    "repl/preparse": 353,
    "schemes/elliptic_curves/ell_generic": 567,
}
SITE = "/opt/sage/lib/python3.13/site-packages/sage"


@pytest.fixture(scope="module")
def report(sage_image: str) -> str:
    """What `sage -t` says of all modules at once; its exit status is that of a failure, so it is not looked at."""
    files = " ".join(f"{SITE}/{module}.py" for module in MODULES)
    return docker("run", "--rm", sage_image, "sh", "-c", f"sage -t -p 2 --random-seed=0 {files} 2>&1 || true")


@pytest.mark.parametrize("module", MODULES)
def test_a_module_of_sage_passes_its_own_doctests(report: str, module: str) -> None:
    result = re.search(rf"^sage -t .*/{module}\.py.*\n(?:.*\n)*?\s+\[(.*), [\d.]+s wall\]$", report, re.MULTILINE)
    assert result, report
    assert result[1] == f"{MODULES[module]} tests", report
