"""Reads and writes .env, so that Compose and python-dotenv see the same values in it.

The two disagree on `$`, on escapes, on quotes inside values and on malformed lines. What either would read differently
is refused: values are plain text, or text in single quotes that holds no quote and no backslash.
"""

import io
import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

from stackgen.errors import SETTINGS, Problem, StackgenError

_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# A plain value has none of these: quotes, backslash, `$`, a ` #` that would begin a comment, odd white space.
_PLAIN = re.compile(
    r"(?!#)[^\s'\"`\\$\x00](?:[^'\"`\\$\x00\t\r\n\x0b\x0c\x1c-\x1f\x85\u2028\u2029\xa0]*[^\s'\"`\\$\x00])?"
)
_QUOTED = re.compile(r"'([^'\\\x00\r\n\x0b\x0c\x1c-\x1f\x85\u2028\u2029]*)'")


def parse(text: str) -> dict[str, str]:
    """The settings in the text of a .env, in their order. Raises StackgenError with every line that is not clear."""
    values: dict[str, str] = {}
    problems = []
    for number, line in enumerate(text.split("\n"), start=1):
        try:
            pair = _parse_line(line)
            if pair and pair[0] in values:
                raise ValueError(f"{pair[0]} is set twice")
        except ValueError as error:
            problems.append(
                Problem(f".env line {number}: {error}", "write KEY=value, or KEY='value' with single quotes")
            )
            continue
        if pair:
            values[pair[0]] = pair[1]
    if not problems and values != _as_dotenv_reads(text):
        problems.append(Problem(".env: python-dotenv and Compose would read it differently", "keep to KEY=value lines"))
    if problems:
        raise StackgenError(problems, exit_code=SETTINGS)
    return values


def _parse_line(line: str) -> tuple[str, str] | None:
    if not line.strip(" \t") or line.startswith("#"):
        if "\r" in line:
            raise ValueError("it ends in a carriage return (saved on Windows?)")
        return None
    key, equals, value = line.partition("=")
    if not equals or not _KEY.fullmatch(key):
        # the line may hold a secret, so it is not repeated here
        raise ValueError("it is not of the form KEY=value")
    if line.endswith("\r"):
        raise ValueError("it ends in a carriage return (saved on Windows?)")
    value = value.strip(" ")
    if not value:
        return key, ""
    if quoted := _QUOTED.fullmatch(value):
        return key, quoted[1]
    if not _PLAIN.fullmatch(value) or " #" in value:
        raise ValueError(f"the value of {key} has a character that needs single quotes, or that no value may have")
    return key, value


def _as_dotenv_reads(text: str) -> dict[str, str | None]:
    from dotenv import dotenv_values

    return dict(dotenv_values(stream=io.StringIO(text), interpolate=False))


def read(path: Path) -> dict[str, str]:
    """The settings in a .env file. Raises StackgenError if it is not clear."""
    return parse(read_text(path))


def read_text(path: Path) -> str:
    """The text of a .env file as it is, carriage returns too. Raises StackgenError if it is not UTF-8."""
    try:
        return path.read_bytes().decode("utf-8")  # Path.read_text makes line breaks of carriage returns
    except UnicodeDecodeError:
        raise StackgenError(f"{path} is not UTF-8", "save it as UTF-8", SETTINGS) from None


def line(key: str, value: str) -> str:
    """`KEY=value` as both programs read it. Raises StackgenError for a value that cannot be written so."""
    text = f"{key}={value}" if not value or (_PLAIN.fullmatch(value) and " #" not in value) else f"{key}='{value}'"
    try:
        if _parse_line(text) == (key, value) and _as_dotenv_reads(text) == {key: value}:
            return text
    except ValueError:
        pass
    raise StackgenError(f"the value of {key} cannot be written into .env", "leave out quotes and backslashes", SETTINGS)


def updated(text: str, values: Mapping[str, str]) -> str:
    """The text with these settings changed in place, or added at its end; all else stays as it is."""
    lines = text.split("\n")
    rest = dict(values)
    for index, old in enumerate(lines):
        key = old.partition("=")[0]
        if key in rest:
            lines[index] = line(key, rest.pop(key))
    while lines and not lines[-1]:
        lines.pop()
    lines += [line(key, value) for key, value in rest.items()]
    return "\n".join(lines) + "\n"


def write(path: Path, text: str) -> None:
    """Replace the file in one step, mode 0600: whoever reads it sees the old text or the new one, and a crash too."""
    parse(text)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".env.")  # mkstemp makes it 0600
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
