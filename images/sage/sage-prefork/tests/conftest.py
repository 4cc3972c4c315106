"""Fixtures: the specs of a plain and of a preforked Sage kernel, and kernels that end with the test."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sage_prefork import provisioner
from sage_prefork.client import Preforker
from support import Kernel, parent, until, waits

Start = Callable[..., Kernel]
Look = Callable[[int], None]


@pytest.fixture(scope="session", autouse=True)
def specs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The kernels `forked` and `plain`, the same but for the provisioner. What kernels use is preloaded soon."""
    folder = tmp_path_factory.mktemp("jupyter")
    provisioners = {"plain": {}, "forked": {"kernel_provisioner": {"provisioner_name": "sage-prefork"}}}
    for name, metadata in provisioners.items():
        path = folder / "kernels" / name / "kernel.json"
        path.parent.mkdir(parents=True)
        command = [sys.executable, "-m", "sage.repl.ipython_kernel", "-f", "{connection_file}"]
        path.write_text(json.dumps({"argv": command, "display_name": name, "language": "sage", "metadata": metadata}))
    os.environ |= {"JUPYTER_PATH": str(folder), "SAGE_PREFORK_PRELOAD": "0.5", "SAGE_PREFORK_BUSY": "1000"}
    return folder


@pytest.fixture
def start() -> Iterator[Start]:
    """Start kernels, as a Jupyter server does."""
    kernels: list[Kernel] = []

    def start(name: str = "forked", **options: object) -> Kernel:
        kernels.append(Kernel(name, **options))
        return kernels[-1]

    yield start
    for kernel in kernels:
        kernel.end()


@pytest.fixture
def look(start: Start) -> Look:
    """Wait until a preforking process has looked at the load and at what its kernels use, and has loaded what it will.

    It forks only when it has. In between it waits for nothing but requests and the next look.
    """

    def look(process: int) -> None:
        assert parent(start().pid) == process
        before = waits(process)  # perhaps not yet for the next look, and that may have begun before this was called
        until(lambda: waits(process) >= before + 3)
        assert parent(start().pid) == process

    return look


@pytest.fixture(scope="module")
def forked() -> Iterator[Kernel]:
    """A forked kernel that many tests look at."""
    kernel = Kernel("forked")
    assert kernel.forked
    yield kernel
    kernel.end()


@pytest.fixture(scope="module")
def plain() -> Iterator[Kernel]:
    """A plain kernel to compare with."""
    kernel = Kernel("plain")
    yield kernel
    kernel.end()


@pytest.fixture
def another_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on this is a Jupyter server that has not yet started a kernel."""
    monkeypatch.setattr(provisioner, "preforker", Preforker())
