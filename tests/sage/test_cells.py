"""What a course computes, cell by cell, in the real kernel on a user's server: with preforking and without."""

from concurrent.futures import ThreadPoolExecutor
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
PARENT = 'import os; print(open(f"/proc/{os.getppid()}/cmdline").read().replace("\\0", " "))'


class Reader:
    """Somebody who runs each notebook once, when its first cell is asked for."""

    def __init__(self, browser: Browser, spec: str) -> None:
        self.browser, self.spec = browser, spec
        self.parents: set[str] = set()
        self.notebooks: dict[str, list[Output]] = {}

    def outputs(self, topic: str) -> list[Output]:
        """What stood below the cells."""
        if topic not in self.notebooks:
            kernel = Kernel(self.browser, self.spec)
            try:
                self.parents.add(kernel.run(PARENT).text)
                self.notebooks[topic] = [kernel.run(cell.code) for cell in NOTEBOOKS[topic]]
            finally:
                kernel.close()
        return self.notebooks[topic]


@pytest.fixture(scope="module")
def readers(stack: RunningStack, mathematicians: list[Browser]) -> list[Reader]:
    """Plain kernels for the one, preforked ones for the other: both kinds on one server need more than its 500 MB."""
    plain, usual = mathematicians
    return [Reader(plain, stack.plain_kernel(plain.name)), Reader(usual, "sagemath")]


def in_both(readers: list[Reader], topic: str) -> list[list[Output]]:
    """Both readers' outputs of a notebook, which they run at the same time."""
    with ThreadPoolExecutor() as pool:
        return list(pool.map(lambda reader: reader.outputs(topic), readers))


@pytest.mark.parametrize(("topic", "number", "cell"), CELLS)
def test_a_cell_gives_what_it_must_in_a_plain_and_in_a_preforked_kernel(
    readers: list[Reader], topic: str, number: int, cell: Cell
) -> None:
    """To the letter; and both kernels draw the same pictures, byte by byte."""
    plain, preforked = (outputs[number] for outputs in in_both(readers, topic))
    assert plain.text == cell.expected
    assert preforked == plain


def test_every_notebook_had_kernels_of_both_kinds(readers: list[Reader]) -> None:
    """Plain kernels are children of the user's server; the others are forks of the process that imported Sage."""
    for topic in NOTEBOOKS:
        in_both(readers, topic)
    plain, preforked = readers
    assert all("sage_prefork" not in parent for parent in plain.parents)
    assert all("sage_prefork" in parent for parent in preforked.parents)
