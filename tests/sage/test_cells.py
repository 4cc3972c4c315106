"""What a course computes, cell by cell, in the real kernel on a user's server: with preforking and without."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from sage_notebook import Cell, Kernel, Output, read

from stackgen.smoke import Browser
from tests.conftest import RunningStack

NOTEBOOKS = {path.stem: read(path) for path in sorted(Path(__file__).with_name("cells").glob("*.txt"))}
CELLS = [
    pytest.param(topic, number, cell, id=f"{topic}-{number}")
    for topic, cells in NOTEBOOKS.items()
    for number, cell in enumerate(cells)
]
LIBRARIES = {"ft2font", "maxima.fas"}  # what the preforking process maps once it has loaded Matplotlib and Maxima
PARENT = f"""
from os import getppid
with open(f"/proc/{{getppid()}}/cmdline") as command, open(f"/proc/{{getppid()}}/maps") as maps:
    mapped = maps.read()
    print(command.read().split("\\0")[-2], sorted(name for name in {LIBRARIES} if name in mapped))
"""
EAGER = {"SAGE_PREFORK_PRELOAD": "0.2", "SAGE_PREFORK_BUSY": "1000"}  # it loads at once what its kernels use


class Reader:
    """Somebody who runs each notebook once, in a kernel of its own, when its first cell is asked for."""

    def __init__(self, browser: Browser, spec: str, *, preloads: bool) -> None:
        self.browser, self.spec, self.preloads = browser, spec, preloads
        self.parents: set[str] = set()
        self.notebooks: dict[str, list[Output] | Exception] = {}

    def outputs(self, topic: str) -> list[Output]:
        """What stood below the cells."""
        if topic not in self.notebooks:
            try:
                self.notebooks[topic] = self.run(topic)
            except Exception as error:  # it would fail again for each cell of the notebook
                self.notebooks[topic] = error
        if isinstance(outputs := self.notebooks[topic], Exception):
            raise outputs
        return outputs

    def run(self, topic: str) -> list[Output]:
        if self.preloads:
            self.await_preloading()  # anew, if memory ran short in another notebook, and that process went first
        with closing(Kernel(self.browser, self.spec)) as kernel:
            self.parents.add(kernel.run(PARENT).text)
            return [kernel.run(cell.code) for cell in NOTEBOOKS[topic]]

    def await_preloading(self) -> None:
        """Use Maxima and Matplotlib until the process that forks kernels has noticed, and has loaded both."""
        with closing(Kernel(self.browser, self.spec)) as kernel:
            kernel.run("plot(sin(x), (x, 0, 1)).show(); integrate(x*sin(x), x)")
            for _ in range(200):
                if all(library in kernel.run(PARENT).text for library in LIBRARIES):
                    return
                kernel.run("sleep(0.5)")
        raise AssertionError("what kernels use is not preloaded")


@pytest.fixture(scope="module")
def readers(stack: RunningStack, mathematicians: list[Browser]) -> list[Reader]:
    """Plain kernels for the one, preforked ones for the other: both kinds on one server need more than its 500 MB.

    These have the more in common with one another the more is preloaded, so everything is.
    """
    plain, preforked = mathematicians
    return [
        Reader(plain, stack.plain_kernel(plain.name), preloads=False),
        Reader(preforked, stack.kernel(preforked.name, **EAGER), preloads=True),
    ]


def in_both(readers: list[Reader], topic: str) -> list[list[Output]]:
    """Both readers' outputs of a notebook, which they run at the same time."""
    with ThreadPoolExecutor() as pool:
        return list(pool.map(lambda reader: reader.outputs(topic), readers))


@pytest.mark.parametrize(("topic", "number", "cell"), CELLS)
def test_a_cell_gives_what_it_must_in_a_plain_and_in_a_preforked_kernel(
    readers: list[Reader], topic: str, number: int, cell: Cell
) -> None:
    """To the letter; and both kernels draw the same pictures and scenes, byte by byte."""
    plain, preforked = (outputs[number] for outputs in in_both(readers, topic))
    assert plain.text == cell.expected
    assert preforked == plain


def test_every_notebook_had_kernels_of_both_kinds(readers: list[Reader]) -> None:
    """Plain kernels are children of the user's server; the others are forks of a process that had loaded everything."""
    for topic in NOTEBOOKS:
        in_both(readers, topic)
    plain, preforked = readers
    assert all("sage_prefork" not in parent for parent in plain.parents)
    assert preforked.parents == {f"sage_prefork.server {sorted(LIBRARIES)}"}
