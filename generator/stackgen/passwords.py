"""Passwords that an operator gives out: where they come from, and what they must be like."""

import getpass
import secrets
import string
import sys

from stackgen.errors import USAGE, StackgenError
from stackgen.settings import Settings

SHORTEST = 8  # characters
LONGEST = 72  # bytes: what bcrypt reads
# no signs, with which a spreadsheet would begin a formula, and nothing that looks like something else
_CHARACTERS = "".join(sorted(set(string.ascii_letters + string.digits) - set("0Oo1Il")))
_GENERATED = 21  # characters: 120 bits


def check_password(password: str) -> None:
    """Raise ValueError (a sentence without the password) for one that the hub would not take."""
    if len(password) < SHORTEST:
        raise ValueError(f"the password is shorter than {SHORTEST} characters")
    if not password.isprintable() or len(password.encode()) > LONGEST:
        raise ValueError(f"the password must be printable and at most {LONGEST} bytes long")


def check_options(settings: Settings, *, generate: bool, from_stdin: bool) -> None:
    """Raise StackgenError if a password is to come from two places, or is the provider's to set."""
    if generate and from_stdin:
        raise StackgenError("--generate and --password-stdin exclude each other", exit_code=USAGE)
    if (generate or from_stdin) and not settings.login.passwords:
        raise providers(settings)


def providers(settings: Settings) -> StackgenError:
    """The error for a password where the login has none that stackgen manages."""
    return StackgenError(
        f"with AUTH={settings['AUTH']} passwords are the provider's: stackgen neither knows nor sets them",
        "leave out --generate and --password-stdin; to let somebody in by name: stackgen users allow NAME",
        USAGE,
    )


def generated_password() -> str:
    """A password of 21 letters and digits, none of which is easily misread."""
    return "".join(secrets.choice(_CHARACTERS) for _ in range(_GENERATED))


def asked_password(*, twice: bool = True) -> str:
    """Ask for a password, without echo. Raises StackgenError where there is no terminal."""
    if not sys.stdin.isatty():
        raise StackgenError(
            "there is no terminal to ask for a password on", "use --password-stdin or --generate", USAGE
        )
    first = getpass.getpass("Password: ")
    if twice and getpass.getpass("Again: ") != first:
        raise StackgenError("the two passwords differ", "try again", USAGE)
    return first


def new_password(*, generate: bool, from_stdin: bool) -> str:
    """A new password as a command's options choose: made here, a line of standard input, or asked for.

    Raises StackgenError for one that will not do.
    """
    if generate:
        return generated_password()
    password = sys.stdin.readline().rstrip("\r\n") if from_stdin else asked_password()
    try:
        check_password(password)
    except ValueError as error:
        raise StackgenError(str(error), "or use --generate", USAGE) from None
    return password
