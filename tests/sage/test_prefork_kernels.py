"""The tests of the package sage-prefork, run inside of the Sage image: only there is a Sage to fork."""

import os
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path
from subprocess import run

import pytest

from tests.conftest import docker

TESTS = Path(__file__).parents[2] / "images" / "sage" / "sage-prefork" / "tests"
PYTEST = ("pytest", "_pytest", "py.py", "pluggy", "iniconfig")  # pure Python, so those of this interpreter do as well


@pytest.fixture(scope="module")
def container(sage_image: str) -> Iterator[str]:
    """A container of the image with the tests and pytest in it, and no more rights than that of a user."""
    name = f"t{os.getpid()}-prefork"
    rights = ("--cap-drop=ALL", "--security-opt=no-new-privileges", "--pids-limit=1024")
    docker("run", "--detach", "--init", "--name", name, *rights, "--entrypoint", "sleep", sage_image, "infinity")
    try:
        docker("exec", name, "mkdir", "/tmp/pytest")
        for module in PYTEST:
            docker("cp", "--quiet", Path(pytest.__file__).parents[1] / module, f"{name}:/tmp/pytest")
        docker("cp", "--quiet", TESTS, f"{name}:/tmp/tests")
        yield name
    finally:
        docker("rm", "--force", "--volumes", name)


@pytest.mark.parametrize("module", sorted(path.name for path in TESTS.glob("test_*.py")))
def test_forked_kernels(module: str, container: str, subtests: pytest.Subtests) -> None:
    arguments = ("-q", "-p", "no:cacheprovider", "--junit-xml=/tmp/results.xml", f"/tmp/tests/{module}")
    done = run(
        ["docker", "exec", "--env", "PYTHONPATH=/tmp/pytest", container, "python", "-m", "pytest", *arguments],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode in (0, 1), done.stdout + done.stderr
    cases = list(ElementTree.fromstring(docker("exec", container, "cat", "/tmp/results.xml")).iter("testcase"))  # noqa: S314
    for case in cases:
        with subtests.test(case.get("name")):
            assert not (problem := next(iter(case), None)), problem.get("message")
    assert done.returncode == 0, done.stdout
