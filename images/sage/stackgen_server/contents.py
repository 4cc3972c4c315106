"""Files of the user, listed also while programs write and remove some."""

from contextvars import ContextVar
from typing import Any

from jupyter_server.services.contents.largefilemanager import AsyncLargeFileManager
from tornado.web import HTTPError

listing: ContextVar[bool] = ContextVar("listing", default=False)


class ContentsManager(AsyncLargeFileManager):
    """Jupyter Server's own, for which a folder is gone (404) if a file in it goes while it is being listed."""

    async def _dir_model(self, path: str, content: bool = True) -> dict[str, Any]:
        token = listing.set(content)
        try:
            model = await super()._dir_model(path, content)
        finally:
            listing.reset(token)
        if content:
            model["content"] = [entry for entry in model["content"] if entry]
        return model

    async def get(self, path: str, content: bool = True, *args: Any, **kwargs: Any) -> dict[str, Any] | None:
        """The model of a file or folder; None for an entry that has gone since its folder was read."""
        try:
            return await super().get(path, content, *args, **kwargs)
        except HTTPError as error:
            if listing.get() and error.status_code == 404:
                return None
            raise
