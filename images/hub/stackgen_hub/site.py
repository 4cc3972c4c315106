"""What every template knows of this site beyond JupyterHub's own variables."""

import hashlib
import os
from http.client import responses
from pathlib import Path

from jinja2 import Environment, pass_context
from jinja2.ext import InternationalizationExtension
from jinja2.runtime import Context

from stackgen_hub import languages

ANNOUNCEMENT = Path("/etc/jupyterhub/announcement")  # in the stack directory, hub/announcement
LOGO_FOLDER = Path("/srv/jupyterhub")
PREFETCH = Path("/opt/stackgen/prefetch")  # scripts of JupyterLab, relative to a user's server, a line each


class Site(InternationalizationExtension):
    """The site's title and logo, the announcement of the day, and texts in the language of each request.

    `{% trans %}` and `_()` are for texts of templates; the filter `translated` is for what comes from programs.
    """

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        environment.install_gettext_callables(languages.gettext, _no_plurals, newstyle=True)
        environment.filters["translated"] = _translated
        environment.globals.update(
            language=languages.language,
            language_tag=languages.language_tag,
            site_title=os.environ.get("STACK_TITLE") or "JupyterHub",
            site_logo=_logo_url(),
            announced=announced,
            prefetch=_prefetch(),
            reasons=responses,
        )


def logo() -> Path | None:
    """The picture of STACK_LOGO, which compose.yaml mounts as logo.svg, .png, .jpg or .webp, if there is one."""
    return next(LOGO_FOLDER.glob("logo.*"), None)


def announced() -> str:
    """The line that `stackgen announce` wrote, read anew for each page, which takes microseconds; empty if none."""
    return " ".join(_lines(ANNOUNCEMENT))


@pass_context  # or Jinja would translate a constant once, when it compiles the template
def _translated(context: Context, message: str) -> str:  # noqa: ARG001
    return languages.translated(message)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text("utf-8").splitlines()
    except FileNotFoundError:
        return []


def _prefetch() -> list[str]:
    """What pages fetch ahead: nothing if browsers would not keep it, as with a certificate that they do not trust, or
    if JupyterLab is not what users begin with.
    """
    env = os.environ
    return _lines(PREFETCH) if env.get("TLS") != "self-signed" and env.get("UI", "lab") == "lab" else []


def _logo_url() -> str:
    """Where pages find the logo, below the hub's base URL: an address that changes with the picture, so that browsers
    keep it (tornado.web.StaticFileHandler).
    """
    picture = logo()
    return f"logo?v={hashlib.sha256(picture.read_bytes()).hexdigest()[:12]}" if picture else ""


def _no_plurals(singular: str, plural: str, count: int) -> str:
    raise NotImplementedError("no text of ours depends on a number")
