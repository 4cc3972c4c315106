"""User names, and the names of their volumes, as JupyterHub and DockerSpawner make them."""

import string
from urllib.parse import unquote

_SAFE = frozenset(string.ascii_lowercase + string.digits)
_LONGEST_USER_NAME = 255  # jupyterhub.orm.User.name
_LONGEST_VOLUME_NAME = 255  # bytes: the engine makes a folder of this name


def user_name(name: str) -> str:
    """The name as JupyterHub stores it: lower case.

    Raises ValueError (the end of a sentence) for a name that JupyterHub or NativeAuthenticator would refuse, or that
    looks like another one to the eye.
    """
    normalised = name.lower()
    if not normalised:
        raise ValueError("a user name must not be empty")
    if normalised != normalised.strip():
        raise ValueError(f"the user name {name!r} must not begin or end with white space")
    if any(character in normalised for character in "/, \\\"'$#=") or not normalised.isprintable():
        raise ValueError(f"the user name {name!r} must not contain white space or any of / \\ , \" ' $ # =")
    if set(normalised) == {"."} or unquote(normalised) != normalised:
        raise ValueError(f"the user name {name!r} would not survive in a URL")
    if len(normalised) > _LONGEST_USER_NAME:
        raise ValueError(f"the user name {name[:20]}... must not be longer than {_LONGEST_USER_NAME} characters")
    return normalised


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
