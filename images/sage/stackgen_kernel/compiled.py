"""`%%cython` by Cython itself: Sage's own needs pkg-config files and headers that Sage's wheels do not bring."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell


def use_cython(shell: "InteractiveShell") -> None:
    """Lets the first `%%cython` cell load Cython, which takes the magic over then; a kernel start pays nothing."""

    def cython(line: str, cell: str) -> object:
        shell.extension_manager.load_extension("cython")
        return shell.run_cell_magic("cython", line, cell)

    shell.register_magic_function(cython, "cell", "cython")
