"""Copies the static files of one of the images into a folder that nginx serves (static.conf says under which URLs).

    collect.py sage DESTINATION     in the image of the users' servers: paths below /user/NAME/
    collect.py hub DESTINATION      in the hub's image: VERSION/PATH for /hub/static/PATH?v=VERSION

Only files whose URL tells their content, so that nginx never answers with another version than was asked for: a hash
in the name, or in the path, or as v.
"""

import hashlib
import re
import shutil
import sys
from fnmatch import fnmatch
from importlib.metadata import distributions, version
from pathlib import Path

HASHED = re.compile(r"(?:^|\.)[0-9a-f]{16,20}\.\w+$")  # webpack's [contenthash]
SHARE = Path(sys.prefix, "share")
OLD_FONTS = (".eot", ".ttf")  # for browsers that do not know WOFF


def copy(source: Path, destination: Path) -> None:
    """Copy a file, with the folders around it."""
    destination.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, destination)


def collect_sage(destination: Path) -> None:
    """JupyterLab's, Notebook's and their extensions' scripts; themes and translations; the list `prefetch`."""
    import notebook  # in this image only
    from stackgen_server.assets import THEMES, urls

    lab = destination / "user"
    for source, folder in (
        (SHARE / "jupyter/lab/static", "static/lab"),
        (Path(notebook.__file__).with_name("static"), "static/notebook"),
        (SHARE / "jupyter/labextensions", "lab/extensions"),
    ):
        for path in source.rglob("*"):
            if path.is_file() and HASHED.search(path.name) and path.suffix not in OLD_FONTS:
                copy(path, lab / folder / path.relative_to(source))
    where = {name: lab / url.lstrip("/") for name, url in urls().items()}
    for path in THEMES.rglob("*.css"):
        if "url('" in path.read_text():  # JupyterLab rewrites such addresses, with the user's name in them
            raise SystemExit(f"{path} refers to other files; leave it to the users' servers")
        copy(path, where["themes_url"] / path.relative_to(THEMES))
    collect_translations(where["translations_api_url"])
    write_prefetch(lab, destination / "prefetch")


def collect_translations(destination: Path) -> None:
    """What JupyterLab's server answers for each language of the image, as a file called after the language.

    Without the translations of extensions that the image has not: they are a third, and browsers keep none of it.
    """
    import json

    from jupyterlab_server.translation_utils import get_language_pack, get_language_packs

    installed = {canonical(distribution.name) for distribution in distributions()}
    destination.mkdir(parents=True)
    for language in get_language_packs()[0]:
        data, message = get_language_pack(language)
        data = {domain: texts for domain, texts in data.items() if canonical(domain) in installed}
        if data and not message:
            (destination / language).write_text(json.dumps({"data": data, "message": message}))


def canonical(name: str) -> str:
    """A package's name, or a domain of translations, however it is written."""
    return name.lower().replace("-", "_")


def write_prefetch(lab: Path, destination: Path) -> None:
    """The URLs of what JupyterLab loads when it starts, largest first; browsers fetch it while the server starts."""
    files = {path.relative_to(lab).as_posix(): path.stat().st_size for path in lab.rglob("*.js")}
    wanted = []
    for pattern in Path(__file__).with_name("prefetch").read_text().split():
        found = [name for name in files if fnmatch(name, pattern)]
        if not found:
            raise SystemExit(f"nothing matches {pattern}: images/nginx/static/prefetch is of another JupyterLab")
        wanted += found
    wanted.sort(key=files.__getitem__, reverse=True)
    destination.write_text("".join(f"{name}{query(name)}\n" for name in wanted))


def query(name: str) -> str:
    """What JupyterLab's build (webpack) appends to a script's name; the entry of an extension has nothing."""
    return "" if "/remoteEntry." in name else f"?v={name.split('.')[-2]}"


def collect_hub(destination: Path) -> None:
    """What the hub's pages name: with the version that tornado gives a file, and the scripts with the hub's own too."""
    static, templates = SHARE / "jupyterhub/static", SHARE / "jupyterhub/templates"
    named = {
        name for page in templates.glob("*.html") for name in re.findall(r"static_url\(.([\w./@-]+).", page.read_text())
    }
    scripts = {path.relative_to(static).as_posix() for path in static.glob("js/*.js") if ".test." not in path.name}
    hub = destination / "hub"
    for name in sorted(named | scripts):
        # pages name scripts without their suffix where requirejs loads them
        source = next((path for path in (static / name, static / f"{name}.js") if path.is_file()), None)
        if source:
            path = source.relative_to(static)
            # https://www.tornadoweb.org/en/stable/web.html#tornado.web.StaticFileHandler.get_content_version
            copy(source, hub / hashlib.sha512(source.read_bytes()).hexdigest() / path)
            if source.suffix == ".js":
                copy(source, hub / version("jupyterhub") / path)  # JupyterHub.tornado_settings["version_hash"]


if __name__ == "__main__":
    {"sage": collect_sage, "hub": collect_hub}[sys.argv[1]](Path(sys.argv[2]))
