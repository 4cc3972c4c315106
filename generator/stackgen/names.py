"""User names, and the names of their volumes, as JupyterHub and DockerSpawner make them.

The one place where names are normalised: the hub's image holds this very file as stackgen_hub/names.py, so a login, an
import on the command line and the name of a volume agree.
"""

import string
import unicodedata
from urllib.parse import unquote

_SAFE = frozenset(string.ascii_lowercase + string.digits)
_FORBIDDEN = "/, \\\"'$#=:;|"  # they would break URLs, .env, rosters or /etc/passwd
_LONGEST_USER_NAME = 128  # nativeauthenticator.orm.UserInfo.username; JupyterHub's own limit is 255
_LONGEST_VOLUME_NAME = 255  # bytes: the engine makes a folder of this name


def user_name(name: str) -> str:
    """The name as the hub stores it: lower case, and one form of characters that look the same (Unicode's NFKC).

    This is how RFC 8265's UsernameCaseMapped profile compares user names, and JupyterHub's `lower()` for all that have
    no such characters. Normalising twice changes nothing. Raises ValueError (the end of a sentence) for a name that
    JupyterHub, NativeAuthenticator or PAM would refuse, or that would not come back out of a URL.
    """
    normalised = _folded(name)
    if not normalised:
        raise ValueError("a user name must not be empty")
    if normalised != normalised.strip():
        raise ValueError(f"the user name {name!r} must not begin or end with white space")
    if any(character in normalised for character in _FORBIDDEN) or not normalised.isprintable():
        raise ValueError(f"the user name {name!r} must not contain white space or any of / \\ , \" ' $ # = : ; |")
    if normalised.startswith(("-", "+")):  # an option to programs; /etc/passwd includes others by it (nsswitch.conf(5))
        raise ValueError(f"the user name {name!r} must not begin with - or +")
    if set(normalised) == {"."} or unquote(normalised) != normalised or _folded(normalised) != normalised:
        raise ValueError(f"the user name {name!r} would not survive in a URL")
    if len(normalised) > _LONGEST_USER_NAME:
        raise ValueError(f"the user name {name[:20]}... must not be longer than {_LONGEST_USER_NAME} characters")
    return normalised


def _folded(name: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).lower())


def escaped(name: str) -> str:
    """A user name as DockerSpawner writes it into names of volumes and containers.

    Lower case letters and digits stay, each byte of all else becomes `-` and its hexadecimal digits, two of them except
    for control characters, which `user_name` refuses. No two names that it accepts have the same result
    (dockerspawner 14, DockerSpawner._escape).
    """
    return "".join(
        character if character in _SAFE else "".join(f"-{byte:x}" for byte in character.encode()) for character in name
    )


def volume_name(prefix: str, name: str) -> str:
    """The volume of a user. Raises ValueError if the engine could not make it."""
    volume = prefix + escaped(name)
    if len(volume) > _LONGEST_VOLUME_NAME:
        raise ValueError(f"the user name {name[:20]}... is too long for a volume")
    return volume


def volume_owner(prefix: str, volume: str) -> str | None:
    """The user whose volume this is, or None if no user name leads to it."""
    if not volume.startswith(prefix):
        return None
    try:
        name = unquote(volume.removeprefix(prefix).replace("-", "%"), errors="strict")
    except UnicodeDecodeError:
        return None
    return name if name and prefix + escaped(name) == volume else None
