"""A server extension with cheap answers to what every page of JupyterLab and Notebook 7 asks."""

import json
import shutil
from pathlib import Path
from typing import Any

from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import APIHandler
from jupyter_server.serverapp import ServerApp
from jupyter_server.utils import url_path_join
from tornado.web import HTTPError, authenticated

from stackgen_server import memory, quota

WARN = 0.9
"""The share of the limit from which on the memory indicator is red."""

EXPORTS = {
    "html": "text/html",
    "markdown": "text/markdown",
    "notebook": "application/json",
    "script": "",
    "slides": "text/html",
}
"""The formats, with their types, to which nbconvert can export a notebook by itself."""

BY_PANDOC = {"asciidoc": "text/asciidoc", "latex": "text/latex", "rst": "text/x-rst"}
BY_LATEX = {"pdf": "application/pdf"}


class MemoryHandler(APIHandler):
    """What the memory indicator of jupyter-resource-usage shows, answered as that package's api.py does.

    That one adds up processes each 5 seconds, counts for each of several forked kernels what they share, and imports
    ipykernel into the server.
    """

    auth_resource = "server"
    _track_activity = False  # of APIHandler: a page that only sits there is no activity of its user

    @authenticated
    @authorized
    async def get(self) -> None:
        """Bytes in use, the limit, and whether that is a reason to worry; 404 hides the indicator."""
        try:
            used, limits = memory.used(), {}
        except OSError as error:
            raise HTTPError(404, "no account is kept of memory here") from error
        if memory.LIMIT:
            limits["memory"] = {"rss": memory.LIMIT, "warn": used > WARN * memory.LIMIT}
        self.finish(json.dumps({"rss": used, "limits": limits}))

    def _log(self) -> None:
        """Nothing in the log each 5 seconds, of tornado's RequestHandler, unless it goes wrong."""
        if self.get_status() >= 400:
            super()._log()


class ExportsHandler(APIHandler):
    """The entries of the menu Save and Export Notebook As, as in jupyter_server/services/nbconvert/handlers.py.

    That one imports every exporter for the list, which costs as much as half a start of the server, and offers also
    those that cannot work here.
    """

    auth_resource = "nbconvert"

    @authenticated
    @authorized
    async def get(self) -> None:
        """The formats that work in this image."""
        formats = dict(EXPORTS)
        if shutil.which("pandoc"):
            formats |= BY_PANDOC
            if shutil.which("xelatex"):
                formats |= BY_LATEX
        self.finish(json.dumps({name: {"output_mimetype": mimetype} for name, mimetype in formats.items()}))


class QuotaHandler(APIHandler):
    """The warning that the user's volume holds too much, in the language of the stack."""

    auth_resource = "contents"
    _track_activity = False

    @authenticated
    @authorized
    async def get(self) -> None:
        """The warning, empty if there is none, and after how many seconds to ask again; 0 is never."""
        volume: quota.Volume = self.settings["stackgen_volume"]
        warning = await volume.warning()
        self.finish(json.dumps({"warning": warning, "seconds": int(volume.seldom) if volume.quota else 0}))


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    return [{"module": __name__}]


def _load_jupyter_server_extension(server: ServerApp) -> None:
    handlers = {
        "api/metrics/v1": MemoryHandler,
        "api/nbconvert": ExportsHandler,
        "api/stackgen/quota": QuotaHandler,
    }
    server.web_app.settings["stackgen_volume"] = quota.Volume(Path.cwd(), quota.QUOTA)
    base = server.web_app.settings["base_url"]
    server.web_app.add_handlers(".*$", [(url_path_join(base, path), handler) for path, handler in handlers.items()])
