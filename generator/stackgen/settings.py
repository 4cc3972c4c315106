"""THE table of settings. Parsing, validation, `init`'s questions, .env.example and docs/settings.md all read it."""

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from stackgen.errors import SETTINGS, Problem, StackgenError
from stackgen.names import user_name


@dataclass(frozen=True)
class Setting:
    """One key of .env.

    `check` raises ValueError with the end of a sentence ("must be ..."); it sees only values that are not empty,
    because an empty value means the default, as in Compose's `${KEY:-default}`.
    """

    key: str
    help: str
    check: Callable[[str], object]
    default: str = ""
    question: str = ""  # what `init` asks, if it asks
    suggestion: str = ""  # the answer that `init` offers, where it is not the default
    choices: tuple[str, ...] = ()
    group: str = ""  # a heading in .env.example, at the first setting under it
    secret: bool = False  # never shown
    generated: bool = False  # made by `init`, 43 characters of [A-Za-z0-9_-]


def _pattern(expression: str, description: str) -> Callable[[str], object]:
    def check(value: str) -> None:
        if not re.fullmatch(expression, value):
            raise ValueError(f"must be {description}")

    return check


def _number(low: int, high: int, unit: str = "") -> Callable[[str], object]:
    def check(value: str) -> None:
        if not re.fullmatch(r"[0-9]{1,9}", value) or not low <= int(value) <= high:
            raise ValueError(f"must be a whole number from {low} to {high}" + (f" ({unit})" if unit else ""))

    return check


def _choice(*choices: str) -> Callable[[str], object]:
    def check(value: str) -> None:
        if value not in choices:
            raise ValueError(f"must be {' or '.join(choices)}" if len(choices) < 4 else f"must be one of {choices}")

    return check


def _memory(value: str) -> None:
    if not re.fullmatch(r"[1-9][0-9]{0,5}(\.[0-9]{1,2})?[KMGT]", value):
        raise ValueError("must be a number with a unit, K, M, G or T, such as 500M or 1.5G")
    if memory_bytes(value) < 128 * 1024**2:
        raise ValueError("must be at least 128M: JupyterLab alone needs about 100M")


def memory_bytes(value: str) -> int:
    """A memory setting in bytes; the units are powers of 1024, as JupyterHub reads them."""
    return int(float(value[:-1]) * 1024 ** ("KMGT".index(value[-1]) + 1))


def _cpus(value: str) -> None:
    if not re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,2})?", value) or float(value) < 0.1:
        raise ValueError("must be a number of CPUs of at least 0.1, such as 2 or 0.5")


def _domain(value: str) -> None:
    if "://" in value or "/" in value or value.count(":") == 1:
        raise ValueError("must be a bare host name, without scheme, port or path")
    label = r"(?!-)[a-z0-9-]{1,63}(?<!-)"
    if len(value) > 253 or not re.fullmatch(rf"{label}(\.{label})*", value):
        raise ValueError("must be a host name in lower case, such as jupyter.example.edu")
    if re.fullmatch(r"[0-9.]+", value) and not re.fullmatch(r"((25[0-5]|2[0-4]\d|1?\d?\d)(\.(?!$)|$)){4}", value):
        raise ValueError("looks like an IPv4 address, but is none")


def _address(value: str) -> None:
    bare = value[1:-1] if value.startswith("[") and value.endswith("]") else value
    try:
        right = (":" in bare) == (bare != value) and ip_address(bare)
    except ValueError:
        right = False
    if not right:
        raise ValueError("must be an IPv4 address, or an IPv6 address in [brackets]")


def _path(value: str) -> None:
    if not Path(value).is_absolute():
        raise ValueError("must be an absolute path, such as /etc/ssl/private/jupyter.pem")


def _admins(value: str) -> None:
    for name in value.split(","):
        user_name(name)


_url = _pattern(r"https?://[^\s/]+(/\S*)?", "a URL that begins with http:// or https://")
_token = _pattern(r"[A-Za-z0-9_-]{32,}", "at least 32 of A-Za-z0-9_-")
_image = _pattern(
    r"([a-z0-9.-]+(:[0-9]+)?/)?[a-z0-9]+([._/-]+[a-z0-9]+)*(:[\w][\w.-]{0,127})?(@sha256:[0-9a-f]{64})?",
    "an image name in lower case, such as debian:trixie-slim or registry.example.edu/sage:10.8",
)

TABLE: tuple[Setting, ...] = (
    Setting(
        "DOMAIN", "Host name under which users reach the stack.", _domain, "localhost",
        question="Domain", group="The site",
    ),
    Setting(
        "STACK_LANGUAGE", "Language of JupyterLab's pages: en or zh.", _choice("en", "zh"), "en",
        question="Language", choices=("en", "zh"),
    ),
    Setting(
        "STACK_NAME", "Name of this stack, which its containers, networks and images carry: letters and digits.",
        _pattern(r"[a-z][a-z0-9]{0,29}", "1 to 30 lower case letters and digits, a letter first"), "stackgen",
    ),
    Setting(
        "TLS", "self-signed: a certificate made at first start. files: your own. off: plain HTTP behind another proxy.",
        _choice("self-signed", "files", "off"), "self-signed",
        question="TLS mode", choices=("self-signed", "files", "off"), group="The front door",
    ),
    Setting("TLS_CERT", "With TLS=files: the certificate with its chain (PEM).", _path),
    Setting("TLS_KEY", "With TLS=files: its private key (PEM, no passphrase).", _path),
    Setting("HTTP_PORT", "Port for http, which redirects to https (with TLS=off: serves).", _number(1, 65535), "80"),
    Setting("HTTPS_PORT", "Port for https.", _number(1, 65535), "443"),
    Setting(
        "BIND_ADDRESS", "Address of this machine that the ports listen on. Behind another proxy here: the loopback's.",
        _address, "0.0.0.0",  # noqa: S104
    ),
    Setting(
        "AUTH", "How users log in. accounts: user names and passwords that you give them.", _choice("accounts"),
        "accounts", question="Login method", choices=("accounts",), group="Logins",
    ),
    Setting(
        "ADMIN_USERS", "User names of the admins, separated by commas. See: stackgen add-admin.", _admins,
        question="First admin", suggestion="admin",
    ),
    Setting(
        "MEM_LIMIT", "Memory of each user's server.", _memory, "500M",
        question="Memory per user", group="Each user's server",
    ),
    Setting("CPU_LIMIT", "CPUs that each user's server may use.", _cpus, "2"),
    Setting("PIDS_LIMIT", "Processes and threads that each user's server may have.", _number(64, 100_000), "512"),
    Setting("IDLE_TIMEOUT", "Seconds after which an idle server is stopped; 0: never.", _number(0, 10**8), "3600"),
    Setting(
        "VOLUME_PREFIX", "The volume of a user is called this and the user's name.",
        _pattern(r"[a-z0-9][a-z0-9_.-]{0,60}-", "lower case letters, digits, `.`, `_` and `-`, with a `-` at the end"),
        "jupyterhub-user-",
    ),
    Setting(
        "SAGE_IMAGE", "Another image for users' servers, on this machine or in a registry; then none is built.", _image,
        group="Images",
    ),
    Setting("BASE_IMAGE", "Debian image that all images are built from. See: stackgen base-image.", _image,
            "debian:trixie-slim"),
    Setting("APT_MIRROR", "Debian mirror for builds, such as http://mirror.example.edu/debian.", _url),
    Setting("PIP_INDEX_URL", "Python package index for builds and for users' pip install.", _url),
    Setting(
        "DATABASE_URL", "SQLAlchemy URL of the hub's database, if not SQLite in a volume.",
        _pattern(r"[a-z0-9+]+://\S+", "an SQLAlchemy URL, such as postgresql+psycopg://user:password@host/name"),
        "sqlite:////srv/jupyterhub/data/jupyterhub.sqlite", secret=True, group="The hub",
    ),
    Setting("PROXY_TOKEN", "What the hub says to nginx.", _token, secret=True, generated=True),
    Setting("HUB_API_TOKEN", "What stackgen says to the hub.", _token, secret=True, generated=True),
)  # fmt: skip

BY_KEY = {setting.key: setting for setting in TABLE}


class Settings(Mapping[str, str]):
    """Every setting's value as text: what .env stores, else the default. Valid as far as files need not be read."""

    def __init__(self, stored: Mapping[str, str]) -> None:
        """Check what .env stores. Raises StackgenError with every problem, not only the first."""
        problems = [*unknown_keys(stored), *_invalid(stored)]
        self._values = {setting.key: stored.get(setting.key) or setting.default for setting in TABLE}
        if not problems:
            problems = list(self._contradictions())
        if problems:
            raise StackgenError(problems, exit_code=SETTINGS)

    def __getitem__(self, key: str) -> str:
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    @property
    def admins(self) -> list[str]:
        """The admins' user names, normalised, in the order of .env."""
        return [user_name(name) for name in self["ADMIN_USERS"].split(",") if name]

    @property
    def url(self) -> str:
        """The address that users type."""
        scheme, port, usual = ("http", "HTTP_PORT", "80") if self["TLS"] == "off" else ("https", "HTTPS_PORT", "443")
        return f"{scheme}://{self['DOMAIN']}" + ("" if self[port] == usual else f":{self[port]}") + "/"

    def _contradictions(self) -> Iterator[Problem]:
        if self["TLS"] == "files":
            for key in ("TLS_CERT", "TLS_KEY"):
                if not self[key]:
                    yield Problem(f"TLS=files needs {key}", f"set {key} in .env to the absolute path of a PEM file")
        if self["TLS"] != "off" and self["HTTP_PORT"] == self["HTTPS_PORT"]:
            yield Problem(
                f"HTTP_PORT and HTTPS_PORT are both {self['HTTP_PORT']}", "choose two different ports in .env"
            )


def unknown_keys(keys: Iterable[str]) -> Iterator[Problem]:
    """A problem for each key that is no setting, with the nearest one."""
    for key in keys:
        # COMPOSE_* is Compose's own: https://docs.docker.com/compose/how-tos/environment-variables/envvars/
        if key not in BY_KEY and not key.startswith("COMPOSE_"):
            near = difflib.get_close_matches(key.upper(), BY_KEY, n=1)
            yield Problem(
                f"{key} is not a setting", f"did you mean {near[0]}?" if near else "see .env.example for all settings"
            )


def _invalid(stored: Mapping[str, str]) -> Iterator[Problem]:
    for setting in TABLE:
        value = stored.get(setting.key, "")
        if not value and setting.generated:
            yield Problem(f"{setting.key} is missing", "run `stackgen init` again: it makes what is missing")
        if not value:
            continue
        try:
            setting.check(value)
        except ValueError as error:
            shown = "" if setting.secret else f"={value}"
            yield Problem(f"{setting.key}{shown}: {error}", setting.help)
