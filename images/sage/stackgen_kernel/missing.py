"""Says in one sentence what to do about the parts of Sage that this image leaves to SAGE_EXTRA_APT."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, NoReturn

from IPython.core.error import UsageError

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell


@dataclass(frozen=True)
class Part:
    """Something that Sage offers and the image may lack; is_present is asked at each start of a kernel."""

    name: str
    packages: str
    is_present: Callable[[], bool]
    cell_magics: tuple[str, ...]
    line_magics: tuple[str, ...]
    functions: tuple[str, ...]


PARTS = (
    Part(
        name="A compiler",
        packages="g++ libgmp-dev python3-dev",
        is_present=lambda: shutil.which("gcc") is not None,
        cell_magics=("cython",),
        line_magics=(),
        functions=("cython", "cython_lambda"),
    ),
    Part(
        name="R",
        packages="r-base-core python3-rpy2",
        is_present=lambda: find_spec("rpy2") is not None,
        cell_magics=("r",),
        line_magics=("r",),
        functions=("r",),
    ),
)


class Absent:
    """Stands where Sage has a function or an interface that cannot work; IPython prints a UsageError as one line."""

    def __init__(self, part: Part) -> None:
        self._message = (
            f"{part.name} is not installed here. Ask whoever runs this server to add it:"
            f' SAGE_EXTRA_APT="{part.packages}" in its settings.'
        )

    def __repr__(self) -> str:
        return self._message

    def __call__(self, *_args: object, **_options: object) -> NoReturn:
        raise UsageError(self._message)

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("_"):  # asked by IPython, which looks at everything for how to display or complete it
            raise AttributeError(name)
        raise UsageError(self._message)


def explain(shell: "InteractiveShell") -> None:
    """Replaces, in this kernel, what needs an absent part by the sentence that says so."""
    for part in PARTS:
        if part.is_present():
            continue
        absent = Absent(part)
        for kind, magics in (("cell", part.cell_magics), ("line", part.line_magics)):
            for magic in magics:
                shell.register_magic_function(absent, kind, magic)
        shell.user_ns.update(dict.fromkeys(part.functions, absent))
