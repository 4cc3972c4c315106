"""Themes and translations, whose names carry no hash as JupyterLab's scripts do: their URLs get one here.

So nginx, which has a copy of what the image holds, can tell its own from another version's (images/nginx/static/).
"""

import hashlib
from pathlib import Path

from jupyter_core.paths import ENV_JUPYTER_PATH

THEMES = Path(ENV_JUPYTER_PATH[0], "lab/themes")
PACKAGES = Path(__file__).parents[1]


def version() -> str:
    """16 hexadecimal digits that change with any theme or translation of this image."""
    digest = hashlib.sha256()
    for root, pattern in ((THEMES, "**/*.css"), (PACKAGES, "jupyterlab_language_pack_*/locale/**/*.json")):
        for path in sorted(root.glob(pattern)):
            content = path.read_bytes()
            digest.update(f"{path.relative_to(root)} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:16]


def urls() -> dict[str, str]:
    """The traits of JupyterLab and Notebook 7 that say where themes and translations are, and their values."""
    this = version()
    return {"themes_url": f"/lab/api/themes/{this}", "translations_api_url": f"/lab/api/translations/{this}"}
