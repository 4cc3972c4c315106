"""What a value of .env may look like. Each check raises ValueError with the end of a sentence ("must be ...")."""

import re
from collections.abc import Callable
from ipaddress import ip_address, ip_network
from pathlib import Path
from urllib.parse import urlsplit

Check = Callable[[str], object]


def pattern(expression: str, description: str) -> Check:
    """The whole value matches a regular expression."""

    def check(value: str) -> None:
        if not re.fullmatch(expression, value):
            raise ValueError(f"must be {description}")

    return check


def number(low: int, high: int) -> Check:
    """A whole number in this range."""

    def check(value: str) -> None:
        if not re.fullmatch(r"[0-9]{1,9}", value) or not low <= int(value) <= high:
            raise ValueError(f"must be a whole number from {low} to {high}")

    return check


def choice(*choices: str) -> Check:
    """One of these words."""

    def check(value: str) -> None:
        if value not in choices:
            joined = " or ".join(choices) if len(choices) < 4 else f"one of {', '.join(choices)}"
            raise ValueError(f"must be {joined}")

    return check


def separated(separator: str, part: Check) -> Check:
    """A list whose parts are each checked."""

    def check(value: str) -> None:
        for item in value.split(separator):
            part(item)

    return check


def size(value: str) -> None:
    """A number of bytes, with a unit."""
    if not re.fullmatch(r"[1-9][0-9]{0,5}(\.[0-9]{1,2})?[KMGT]", value):
        raise ValueError("must be a number with a unit, K, M, G or T, such as 500M or 1.5G")


def memory(value: str) -> None:
    """An amount of memory that is enough for a user's server."""
    size(value)
    if memory_bytes(value) < 128 * 1024**2:
        raise ValueError("must be at least 128M: JupyterLab alone needs about 100M")


def memory_bytes(value: str) -> int:
    """A setting with a unit in bytes; the units are powers of 1024, as JupyterHub reads them."""
    return int(float(value[:-1]) * 1024 ** ("KMGT".index(value[-1]) + 1))


def cpus(value: str) -> None:
    """A number of CPUs, as `docker run --cpus` takes it."""
    if not re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,2})?", value) or float(value) < 0.1:
        raise ValueError("must be a number of CPUs of at least 0.1, such as 2 or 0.5")


def domain(value: str) -> None:
    """A host name or an IPv4 address."""
    if "://" in value or "/" in value or value.count(":") == 1:
        raise ValueError("must be a bare host name, without scheme, port or path")
    label = r"(?!-)[a-z0-9-]{1,63}(?<!-)"
    if len(value) > 253 or not re.fullmatch(rf"{label}(\.{label})*", value):
        raise ValueError("must be a host name in lower case, such as jupyter.example.edu")
    if re.fullmatch(r"[0-9.]+", value) and not re.fullmatch(r"((25[0-5]|2[0-4]\d|1?\d?\d)(\.(?!$)|$)){4}", value):
        raise ValueError("looks like an IPv4 address, but is none")


def host(value: str) -> None:
    """A host name or an address, as it stands in a browser's address bar but for the brackets of IPv6."""
    if ":" not in value:
        domain(value)
        return
    try:
        usual = str(ip_address(value))
    except ValueError:
        raise ValueError("must be host names or addresses, without scheme, port or path") from None
    if usual != value:
        raise ValueError(f"must have the IPv6 address as browsers write it, {usual}")


def network(value: str) -> None:
    """An address, or a network in CIDR notation."""
    try:
        ip_network(value)
    except ValueError as error:
        why = ", not of a host in it" if "host bits" in str(error) else ""
        raise ValueError(f"must be addresses or networks{why}, such as 10.0.0.7 or 192.168.1.0/24") from None


def address(value: str) -> None:
    """An address that ports listen on, as Compose writes it."""
    bare = value[1:-1] if value.startswith("[") and value.endswith("]") else value
    try:
        right = (":" in bare) == (bare != value) and ip_address(bare)
    except ValueError:
        right = False
    if not right:
        raise ValueError("must be an IPv4 address, or an IPv6 address in [brackets]")


def path(value: str) -> None:
    """An absolute path."""
    if not Path(value).is_absolute():
        raise ValueError("must be an absolute path, such as /etc/ssl/private/jupyter.pem")


def picture(value: str) -> None:
    """The absolute path of a picture; browsers are told its kind by the end of its name."""
    path(value)
    if not re.search(r"[^/]\.(svg|png|jpg|webp)$", value):
        raise ValueError("must end in .svg, .png, .jpg or .webp")


def one_line(longest: int) -> Check:
    """A text for people to read, in one line."""

    def check(value: str) -> None:
        if len(value) > longest:
            raise ValueError(f"must have at most {longest} characters, and has {len(value)}")
        if not value.isprintable() or value != value.strip():
            raise ValueError("must be printable characters, without line breaks and without blanks around them")

    return check


def url(value: str) -> None:
    """A URL with a host."""
    try:
        parts = urlsplit(value)
        right = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and not re.search(r"\s", value)
    except ValueError:
        right = False
    if not right:
        raise ValueError("must be a URL that begins with http:// or https://")


def https_url(value: str) -> None:
    """A URL of a login's provider: the hub sends secrets there, and believes what comes back."""
    url(value)
    if not value.startswith("https://"):
        raise ValueError("must begin with https://, because over http others could read secrets and forge logins")


def bind_dn(value: str) -> None:
    """A template of the names that users have in an LDAP directory, with `{username}` as str.format takes it."""
    if value.count("{username}") != 1 or re.search("[{}]", value.replace("{username}", "")):
        raise ValueError("must contain {username} once, such as uid={username},ou=people,dc=example,dc=edu")


def repository(value: str) -> None:
    """Where a restic repository is: https://restic.readthedocs.io/en/stable/030_preparing_a_new_repo.html"""
    kind, colon, rest = value.partition(":")
    if value.startswith("/") or not colon:
        path(value)
        if ".." in Path(value).parts or value.rstrip("/") == "":
            raise ValueError("must be a folder of its own, without ..")
    elif kind == "sftp":
        if not re.fullmatch(r"(//)?[^\s/:@-][^\s/:@]*@?[^\s/:]*(:[^\s]+|/[^\s]+)", rest):
            raise ValueError("must be such as sftp:user@backup.example.edu:/srv/backup, or sftp://user@host:port//path")
    elif kind in ("s3", "rest"):
        bare = f"https://{rest}" if kind == "s3" and "://" not in rest else rest
        url(bare)
        if "@" in urlsplit(bare).netloc:
            raise ValueError("must not hold a password: BACKUP_REST_USER and BACKUP_REST_PASSWORD are there for it")
        if kind == "s3" and not urlsplit(bare).path.strip("/"):
            raise ValueError("must name a bucket, such as s3:https://s3.example.edu/bucket")
    else:
        raise ValueError("must be an absolute path, or begin with sftp:, s3: or rest:")


def keep(value: str) -> None:
    """Which snapshots to keep, in the words of restic's options --keep-*."""
    if value == "all":
        return
    words = [item.partition("=")[::2] for item in value.split(",")]
    if not all(
        unit in ("last", "hourly", "daily", "weekly", "monthly", "yearly") and re.fullmatch(r"[1-9][0-9]{0,3}", count)
        for unit, count in words
    ) or len(dict(words)) < len(words):
        raise ValueError("must be such as daily=7,weekly=5,monthly=12 (or last=, hourly=, yearly=), each once; or all")


TIME_OF_DAY = r"([01][0-9]|2[0-3]):[0-5][0-9]"


def daily(value: str) -> None:
    """A time of the day, and a time zone of the tz database, as systemd's OnCalendar= has them."""
    at, blank, zone = value.partition(" ")
    if not re.fullmatch(TIME_OF_DAY, at):
        raise ValueError("must be a time of the day such as 03:30, or with a time zone 03:30 Asia/Shanghai")
    from zoneinfo import available_timezones

    # none are known where tzdata is missing; the container has it, and has the last word
    if blank and (not re.fullmatch(r"[\w+/-]+", zone) or zone not in (available_timezones() or {zone})):
        raise ValueError("must end in the name of a time zone, such as Asia/Shanghai or Europe/Berlin")


# https://packaging.python.org/specifications/dependency-specifiers/, without URLs and markers
_VERSION = r"(?:~=|[=!<>]=|[<>])[\w.*+!-]+"
_REQUIREMENT = rf"[A-Za-z0-9](?:[\w.-]*[A-Za-z0-9])?(?:\[[\w.,-]+\])?(?:{_VERSION}(?:,{_VERSION})*)?"
pip_requirements = pattern(
    f"{_REQUIREMENT}(?: +{_REQUIREMENT})*",
    "names of Python packages separated by spaces, such as: pandas seaborn>=0.13",
)
# https://www.debian.org/doc/debian-policy/ch-controlfields.html#source
apt_packages = pattern(
    r"[a-z0-9][a-z0-9+.-]+(?: +[a-z0-9][a-z0-9+.-]+)*",
    "names of Debian packages separated by spaces, such as: r-base-core",
)
_GROUP = r"[^\s,;](?:[^,;]*[^\s,;])?"
groups = pattern(
    rf"{_GROUP}(?:[,;]{_GROUP})*", "names separated by commas (DNs: by semicolons), without blanks around them"
)
# https://html.spec.whatwg.org/multipage/input.html#valid-e-mail-address, with a dot in the domain
email = pattern(r"[\w.!#$%&'*+/=?^`{|}~-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+", "an e-mail address")
printable = pattern(r"[^\x00-\x1f\x7f]{1,1000}", "at most 1000 characters, without control characters")
# RFC 6749, appendix A: client ids and secrets are printable ASCII, scopes are separated by spaces
oauth_word = pattern(r"[!-~]+", "printable ASCII characters without spaces")
oauth_scopes = pattern(r"[!-~]+( +[!-~]+)*", "scopes separated by spaces, such as: openid profile")
claim = pattern(r"[^\s,;]+", "the name of one claim, such as preferred_username")
token = pattern(r"[A-Za-z0-9_-]{32,}", "at least 32 of A-Za-z0-9_-")
image = pattern(
    r"([a-z0-9.-]+(:[0-9]+)?/)?[a-z0-9]+([._/-]+[a-z0-9]+)*(:[\w][\w.-]{0,127})?(@sha256:[0-9a-f]{64})?",
    "an image name in lower case, such as debian:trixie-slim or registry.example.edu/sage:10.8",
)
