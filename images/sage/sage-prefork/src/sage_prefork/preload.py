"""What the preforking process loads: at once what every kernel needs, and later what the kernels turn out to use."""

import gc
import importlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path

# What a kernel imports until it has answered its first request. Nothing here may look for a running kernel when it is
# imported, as ipywidgets and matplotlib_inline.backend_inline do: they would find none, and not look again.
MODULES = (
    "sage.all_cmdline",
    "ipykernel.kernelapp",
    "sage.repl.ipython_kernel.kernel",
    "sage.repl.ipython_kernel.all_jupyter",
    "sage.repl.display.formatter",
    "sage.repl.rich_output.backend_ipython",
    "IPython.core.completerlib",
    "IPython.core.logger",
    "IPython.extensions.storemagic",
    "psutil",
    "tornado.platform.asyncio",
    "tornado.queues",
)


def load_kernel() -> None:
    """Import what every kernel needs."""
    # Many objects and hardly any garbage: looking for it takes a sixth of the time of the import.
    gc.disable()
    for module in MODULES:
        importlib.import_module(module)
    gc.enable()
    from sage.repl.ipython_kernel.kernel import SageKernel

    # Part of the first answer of every kernel. Sage looks for its documentation, and then for package managers that
    # could install it: 0.5 s, unless SAGE_DOC_SERVER_URL is set.
    SageKernel.help_links.fget(SageKernel.__new__(SageKernel))
    # What a kernel sets as well. matplotlib, if it is loaded later, reads it at once.
    os.environ.setdefault("MPLBACKEND", "module://matplotlib_inline.backend_inline")


def _load_plots() -> None:
    from sage.functions.trig import sin
    from sage.misc.temporary_file import tmp_filename
    from sage.plot.plot import plot
    from sage.symbolic.ring import SR

    x = SR.var("x")
    plot(sin(x), (x, 0, 1)).save(tmp_filename(ext=".png"))


def _load_maxima() -> None:
    from sage.functions.trig import sin
    from sage.symbolic.integration.integral import integrate
    from sage.symbolic.ring import SR

    x = SR.var("x")
    integrate(x * sin(x), x)


# the name of a file that a kernel maps into its memory when it uses something, and what loads it
_STAGES: dict[str, Callable[[], None]] = {"ft2font": _load_plots, "maxima.fas": _load_maxima}


class Preload:
    """What is still to be loaded. What no kernel uses is never loaded, and costs nothing."""

    def __init__(self) -> None:
        self._left = dict(_STAGES)

    def next_for(self, kernels: Iterable[int]) -> Callable[[], None] | None:
        """What one of the kernels with these process ids uses, and the next ones would have to load by themselves."""
        maps = "".join(_mapped(pid) for pid in kernels) if self._left else ""
        used = next((name for name in self._left if name in maps), None)
        return self._left.pop(used) if used else None


def _mapped(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/maps").read_text()
    except OSError:  # it has just ended
        return ""


def settle() -> None:
    """Let the garbage collection of the kernels leave alone what is there now: looking at memory would unshare it."""
    gc.collect()
    gc.freeze()
