"""What this image adds to a Sage kernel, as an IPython extension that kernel.json names.

It is loaded when the kernel is complete, in a forked kernel as in a plain one, and imports nothing that Sage has not.
"""

from typing import TYPE_CHECKING

from stackgen_kernel import compiled, missing, scenes

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell


def load_ipython_extension(shell: "InteractiveShell") -> None:
    """Called by IPython with the kernel's shell."""
    scenes.load_from_own_server()
    compiled.use_cython(shell)
    missing.explain(shell)
