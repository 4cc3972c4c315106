"""Settings -> {path: bytes}: everything in the stack directory but .env. Pure; the only user of Jinja2."""

import functools
import hashlib
from collections.abc import Collection, Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path, PurePath

from stackgen import __version__, names, renaming, units
from stackgen.reference import env_example
from stackgen.settings import Settings
from stackgen.settings_table import BY_KEY

# Modules of stackgen that packages in images hold a copy of, so that both do the same.
SHARED = {"hub/stackgen_hub": (names, renaming), "backup/stackgen_backup": (names, renaming, units)}

# Written once and then the operator's: never changed, never brought back.
ONCE = ("hub/config.d/", "nginx/conf.d/", "images/ca/", "compose.override.yaml")

# The hub reads these by itself, whenever it starts and for each page: a change needs no new container.
ADMINS = "hub/admins"
ANNOUNCEMENT = "hub/announcement"


def is_operators(path: str) -> bool:
    """Whether a rendered file belongs to the operator from then on."""
    return path.startswith(ONCE)


def render(settings: Settings, directory: PurePath) -> dict[str, bytes]:
    """Every file of the stack by its path relative to the stack directory.

    `directory` is the stack directory's absolute path; only the systemd unit needs it. A template that renders no
    Compose file is a bug of stackgen's own, and fails here, before anything is written.
    """
    import jinja2

    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701  # no HTML here
    )
    files = {
        ".env.example": env_example().encode(),
        ADMINS: "".join(f"{name}\n" for name in settings.admins).encode(),
        ANNOUNCEMENT: f"{settings['ANNOUNCEMENT']}\n".encode(),
        **{
            f"images/{package}/{Path(str(module.__file__)).name}": Path(str(module.__file__)).read_bytes()
            for package, modules in SHARED.items()
            for module in modules
        },
        "images/backup/stackgen_backup/version.py": f'"""Who wrote this."""\n\nVERSION = "{__version__}"\n'.encode(),
    }
    environment.globals["ref"] = _reference
    environment.globals["digest"] = lambda folder: _digest(files, folder)
    values = {
        **settings,
        "directory": str(directory),
        "url": settings.url,
        "login": settings.login,
        "repository_kind": settings.repository_kind,
        "operator_files": settings.operator_files,
        "logo_suffix": PurePath(settings["STACK_LOGO"]).suffix,
    }
    # compose.yaml.j2 comes last: it holds digests of the others
    for path, content in sorted(_shipped().items(), key=lambda item: item[0] == "compose.yaml.j2"):
        if path.endswith(".j2"):
            path = path.removesuffix(".j2")
            content = environment.from_string(content.decode()).render(values).encode()
        files[path] = content
    _check_compose_file(files["compose.yaml"], {*settings.services, "backup"})
    return files


def _reference(key: str) -> str:
    """`${KEY:-default}`: Compose fills in the value, so none ever passes through YAML quoting."""
    setting = BY_KEY[key]
    if setting.generated:
        return f"${{{key}:?is missing in .env}}"
    return f"${{{key}:-{setting.default}}}"


def _digest(files: Mapping[str, bytes], folder: str) -> str:
    """Changes with each file of the folder whose change needs a new container."""
    digest = hashlib.sha256()
    for path in sorted(files):
        if path.startswith(folder) and path not in (ADMINS, ANNOUNCEMENT) and not is_operators(path):
            digest.update(path.encode() + b"\0" + hashlib.sha256(files[path]).digest())
    return digest.hexdigest()[:12]


def _check_compose_file(content: bytes, expected: Collection[str]) -> None:
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml, seven times as fast, where the wheel has it
    services = yaml.load(content, Loader=loader)["services"]  # noqa: S506  # both are safe
    if set(services) != set(expected):
        raise AssertionError(f"compose.yaml.j2 renders the services {sorted(services)}")


@functools.cache
def _shipped() -> dict[str, bytes]:
    """The files of compose/ and images/, as the wheel carries them or as they stand in a checkout."""
    data: Traversable = resources.files("stackgen") / "data"
    if not data.is_dir():
        data = Path(__file__).parents[2]
    compose = {path: item.read_bytes() for path, item in _walk(data / "compose")}
    images = {f"images/{path}": item.read_bytes() for path, item in _walk(data / "images")}
    return compose | images


def _walk(folder: Traversable, prefix: str = "") -> list[tuple[str, Traversable]]:
    found: list[tuple[str, Traversable]] = []
    for item in sorted(folder.iterdir(), key=lambda entry: entry.name):
        # a package of images/ brings its tests; in a checkout, caches and somebody's .env may lie about
        if item.name in ("__pycache__", "tests") or (item.name.startswith(".") and item.name != ".gitignore"):
            continue
        if item.is_dir():
            found += _walk(item, f"{prefix}{item.name}/")
        else:
            found.append((prefix + item.name, item))
    return found
