"""Modules that a user's server imports and never uses, put off until something does use them.

jupyterhub-singleuser imports the hub's database and pages, and JupyterLab clients for extensions on other hosts: more
than half of the CPU time of a start, and a third of the memory.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any

UNUSED = (
    "jupyterhub.handlers",
    "jupyterhub.handlers.pages",
    "jupyterhub.orm",
    "jupyterhub.roles",
    "jupyterlab.extensions.pypi",  # the extension manager of the image is the one that is read-only
    "requests",
    "sqlalchemy",
    "sqlalchemy.exc",
)


class StandIn(ModuleType):
    """Stands for a module in those that imported it, and imports it at the first use."""

    def __getattr__(self, name: str) -> Any:
        """What the module has under this name; while it is put off, a class that nothing is an instance of."""
        if name.startswith("__"):
            raise AttributeError(name)
        if sys.modules.get(self.__name__) is self:
            return type(name, (Exception,), {})
        return getattr(import_module(self.__name__), name)


@contextmanager
def deferred() -> Iterator[None]:
    """Put off the unused modules for what is imported inside; whoever imports them later gets the real ones."""
    stand_ins = {name: StandIn(name) for name in UNUSED if name not in sys.modules}
    sys.modules.update(stand_ins)
    yield
    for name in stand_ins:
        del sys.modules[name]
