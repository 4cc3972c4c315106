"""Starts a user's server, as `jupyterhub-singleuser` does: `python -P -m stackgen_server`.

With -P, because the user's folder is the working directory, and a random.py in it must not break the server.
"""

import logging
from pathlib import Path

from stackgen_server.deferred import deferred
from stackgen_server.welcome import welcome

try:
    welcome(Path.cwd())
except OSError:  # a full volume, or one of somebody else: the server must start all the same
    logging.getLogger("stackgen").exception("The welcome notebook could not be written")

with deferred():
    import jupyterlab.labapp  # noqa: F401
    from jupyterhub.singleuser import main

main()
