"""Rosters: lists of people as CSV, the way spreadsheets write them. Pure: bytes in, people out, and back.

A line is a person: user name, password, groups, e-mail. Cells are separated by commas, semicolons (Excel in much of
Europe) or tabs, whichever comes first in the file; the groups in a cell by `;` or `|`. White space around cells and
lines without content mean nothing. A first line that begins with the name of a column is a header, and its columns may
come in any order.
"""

import codecs
import csv
import io
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from stackgen import names
from stackgen.errors import StackgenError
from stackgen.passwords import check_password

LARGEST = 1_000_000  # bytes; 10 000 people with all four columns
COLUMNS = ("username", "password", "groups", "email")
_HEADINGS = {
    heading: column
    for column, headings in {
        "username": "username user name login account 用户名 用户 姓名 账号 帐号 学号 工号",
        "password": "password 密码 口令",
        "groups": "groups group class 组 用户组 班级 分组",
        "email": "email mail 邮箱 电子邮箱 邮件 电子邮件",
    }.items()
    for heading in headings.split()
}
_LONGEST_GROUP = 255  # jupyterhub.orm.Group.name
_LONGEST_EMAIL = 254  # RFC 5321, 4.5.3.1.3, less the angle brackets
_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs"}


@dataclass(frozen=True)
class Entry:
    """A person to be added; the name is normalised, what is empty is not given.

    A `generated` password is strong by itself, so that the hub may hash it quickly.
    """

    name: str
    password: str = field(default="", repr=False)
    groups: tuple[str, ...] = ()
    email: str = ""
    generated: bool = False


@dataclass(frozen=True)
class BadLine:
    """A line of the file that holds nobody, by its number, and why. The reason never repeats a password."""

    number: int
    reason: str


@dataclass(frozen=True)
class Roster:
    """Who is on it, what could not be read, and the encoding it was in."""

    entries: list[Entry]
    bad: list[BadLine]
    encoding: str


def entry(name: str, password: str, groups: Iterable[str], email: str, *, passwords: bool, volume_prefix: str) -> Entry:
    """A person of a stack. `passwords` tells whether its login has any that stackgen manages.

    Raises ValueError whose arguments are the reasons, each a sentence.
    """
    groups = tuple(dict.fromkeys(groups))
    reasons: list[str] = []
    try:
        name = names.user_name(name)
        names.volume_name(volume_prefix, name)
    except ValueError as error:
        reasons.append(str(error))
    if password and not passwords:
        reasons.append("there is a password, but with this login passwords are the provider's: leave it empty")
    elif password:
        try:
            check_password(password)
        except ValueError as error:
            reasons.append(str(error))
    if not all(group.isprintable() and 0 < len(group) <= _LONGEST_GROUP for group in groups):
        reasons.append(f"a group's name must be printable and at most {_LONGEST_GROUP} characters long")
    if email and not (re.fullmatch(r"[^@\s]+@[^@\s]+", email) and email.isprintable() and len(email) <= _LONGEST_EMAIL):
        reasons.append("the e-mail address is none: it must be of the form NAME@HOST")
    if reasons:
        raise ValueError(*reasons)
    return Entry(name, password, groups, email)


def read(content: bytes, *, passwords: bool, volume_prefix: str) -> Roster:
    """The people in a CSV file: UTF-8 with or without byte order mark, UTF-16 with one, or GB18030.

    Bytes that can be either are taken as UTF-8. `passwords` and `volume_prefix` are as in `entry`. Raises StackgenError
    if the file as a whole makes no sense.
    """
    text, encoding = _decoded(content)
    separator = _separator(text)
    columns: Sequence[str] = ()
    entries: dict[str, Entry] = {}
    first: dict[str, tuple[int, str]] = {}  # where each person stands, and as whom
    bad = []
    for number, line in enumerate(re.split("\r\n|\r|\n", text), start=1):
        try:
            cells = _cells(line, separator)
            if not any(cells):
                continue
            if not columns:
                is_header = _heading(cells[0]) in _HEADINGS
                columns = _columns(cells, number) if is_header else COLUMNS
                if is_header:
                    continue
            person, spelling = _person(cells, columns, separator, passwords=passwords, volume_prefix=volume_prefix)
            if person.name in entries:
                line_before, spelling_before = first[person.name]
                raise ValueError(f"{spelling} is the same person as {spelling_before} on line {line_before}")
        except ValueError as error:
            bad += [BadLine(number, reason) for reason in error.args]
        else:
            entries[person.name] = person
            first[person.name] = number, spelling
    if not entries and not bad:
        raise StackgenError("there is nobody on the roster", "each line is a person: username,password,groups,email")
    return Roster(list(entries.values()), bad, encoding)


def write(entries: Iterable[Entry]) -> str:
    """A roster with these people, which `read` reads."""
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(COLUMNS)
    lines.writerows((person.name, person.password, ";".join(person.groups), person.email) for person in entries)
    return text.getvalue()


def holds(person: Entry) -> bool:
    """Whether a roster can hold this person: names of groups made elsewhere may contain what separates groups here."""
    return read(write([person]).encode(), passwords=True, volume_prefix="").entries == [person]


def _decoded(content: bytes) -> tuple[str, str]:
    if len(content) > LARGEST:
        raise StackgenError(f"the file is larger than {LARGEST} bytes", "no roster is; is it the right file?")
    if content.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise StackgenError("the file is a workbook, not CSV", "save it as CSV UTF-8 in Excel or WPS")
    marked = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    for encoding in ("UTF-16",) if marked else ("UTF-8", "GB18030"):
        try:
            text = content.decode(encoding).removeprefix("\ufeff")
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text, encoding
    raise StackgenError("the file is neither UTF-8 nor UTF-16 nor GB18030 text", "save it as CSV UTF-8 in Excel or WPS")


def _separator(text: str) -> str:
    """What separates the cells: no user name holds one, so it is the first that stands outside quotes."""
    quoted = False
    for character in text:
        quoted = quoted != (character == '"') and character not in "\r\n"
        if character in _SEPARATORS and not quoted:
            return character
    return ","


def _cells(line: str, separator: str) -> list[str]:
    """The cells of one line. No cell holds a line break, so a quotation mark left open spoils one line and no more."""
    try:
        rows = list(csv.reader([line], delimiter=separator, strict=True, skipinitialspace=True))
    except csv.Error as error:
        raise ValueError(f"its quotation marks do not match ({error})") from None
    return [cell.strip() for row in rows for cell in row]


def _heading(cell: str) -> str:
    return re.sub(r"[\s_-]", "", unicodedata.normalize("NFKC", cell).casefold())


def _columns(cells: list[str], number: int) -> list[str]:
    """The columns under a header; empty for one without a name. The cells are not repeated: it may be no header."""
    columns: list[str] = []
    for position, cell in enumerate(cells, start=1):
        column = _HEADINGS.get(_heading(cell), "")
        if cell and not column:
            raise StackgenError(
                f"line {number}: column {position} of the header is none of {', '.join(COLUMNS)}", "remove the column"
            )
        if column and column in columns:
            raise StackgenError(
                f"line {number}: columns {columns.index(column) + 1} and {position} of the header both mean {column}",
                "remove one of the two",
            )
        columns.append(column)
    if "username" not in columns:
        raise StackgenError(f"line {number}: the header has no column username", "name the columns: username, ...")
    return columns


def _person(
    cells: list[str], columns: Sequence[str], separator: str, *, passwords: bool, volume_prefix: str
) -> tuple[Entry, str]:
    """The person on a line, and the name as it stands there."""
    if any(cells[len(columns) :]) or any(cell for cell, column in zip(cells, columns, strict=False) if not column):
        raise ValueError("it has more cells than there are columns")
    by_column = dict.fromkeys(COLUMNS, "") | dict(zip(columns, cells, strict=False))
    spelling = by_column["username"]
    if re.fullmatch(r"\d+([.,]\d+)?E\+\d+", spelling, re.ASCII | re.IGNORECASE):
        raise ValueError(
            "its user name is a number that a spreadsheet has shortened (such as 2.02401E+11): "
            "show the column there as numbers without decimals, and save the file as CSV again"
        )
    if re.search(r"[\s,;:|，；：｜]", spelling):  # noqa: RUF001  # said without the cell: its rest may be a password
        raise ValueError(
            f"its user name holds white space or a separator, and in this file {_SEPARATORS[separator]} separate cells"
        )
    person = entry(
        spelling,
        by_column["password"],
        _groups(by_column["groups"]),
        by_column["email"],
        passwords=passwords,
        volume_prefix=volume_prefix,
    )
    return person, spelling


def _groups(cell: str) -> Iterator[str]:
    return filter(None, map(str.strip, re.split(r"[;|；｜]", cell)))  # noqa: RUF001  # full-width ones are typed too
