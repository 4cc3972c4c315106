"""Rosters as spreadsheets write them: whatever the encoding and the separators, the same people come out."""

import csv
import io
import math
import random
import string
from collections.abc import Callable

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from stackgen import names, roster
from stackgen.errors import StackgenError
from stackgen.passwords import check_password, generated_password
from stackgen.roster import Entry, Roster

PREFIX = "jupyterhub-user-"
ENGLISH = {"username": "User Name", "password": "password", "groups": "Groups", "email": "E-Mail"}
CHINESE = {"username": "学号", "password": "密码", "groups": "班级", "email": "电子邮箱"}


def read(content: bytes | str, *, passwords: bool = True) -> Roster:
    """Read a roster for a stack; text is what an editor saves as UTF-8."""
    content = content.encode() if isinstance(content, str) else content
    return roster.read(content, passwords=passwords, volume_prefix=PREFIX)


def reasons(content: bytes | str, *, passwords: bool = True) -> dict[int, str]:
    """The bad lines by number."""
    return {line.number: line.reason for line in read(content, passwords=passwords).bad}


def works(check: Callable[[str], object], value: str) -> bool:
    try:
        check(value)
    except ValueError:
        return False
    return True


spellings = st.text("abcXYZ019.-_@+李雷韩éß", min_size=1, max_size=12).filter(lambda text: works(names.user_name, text))
passwords = st.text(st.characters(codec="utf-8"), min_size=8, max_size=20) | st.text('ab,;|"\t 李1', min_size=8)
passwords = passwords.filter(lambda text: text == text.strip() and works(check_password, text))
groups = st.text("ab李1, \"'-", min_size=1, max_size=8).filter(lambda text: text == text.strip())


@st.composite
def classes(draw: st.DrawFn) -> list[tuple[str, Entry]]:
    """People, no two the same, each with the spelling that the roster has."""
    found = draw(st.lists(spellings, min_size=1, max_size=5, unique_by=names.user_name))
    return [
        (
            spelling,
            Entry(
                names.user_name(spelling),
                draw(st.just("") | passwords),
                tuple(draw(st.lists(groups, max_size=3, unique=True))),
                draw(st.just("") | st.emails()),
            ),
        )
        for spelling in found
    ]


@given(
    people=classes(),
    separator=st.sampled_from(",;\t"),
    line_end=st.sampled_from(["\n", "\r\n", "\r"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    between_groups=st.sampled_from([";", "|", " ; ", "；"]),  # noqa: RUF001
    header=st.sampled_from([None, ENGLISH, CHINESE]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "gb18030"]),
    seed=st.randoms(use_true_random=False),
)
def test_the_same_people_come_out_of_every_dialect(
    people: list[tuple[str, Entry]],
    separator: str,
    line_end: str,
    quoting: int,
    between_groups: str,
    header: dict[str, str] | None,
    encoding: str,
    seed: random.Random,
) -> None:
    """With blank lines, empty cells at the ends, white space around cells, and columns in any order under a header."""
    columns = list(roster.COLUMNS)
    if header:
        seed.shuffle(columns)
    text = io.StringIO()
    lines = csv.writer(text, delimiter=separator, lineterminator=line_end, quoting=quoting)
    if header:
        lines.writerow([header[column] for column in columns])
    for spelling, entry in people:
        cells = {
            "username": f" {spelling}",
            "password": entry.password,
            "groups": between_groups.join(entry.groups),
            "email": f"{entry.email} ",
        }
        lines.writerow([cells[column] for column in columns] + [""] * seed.randrange(3))
        if not seed.randrange(3):
            text.write(seed.choice(["", " ", separator * 3]) + line_end)
    content = text.getvalue().encode(encoding)
    if encoding == "gb18030":
        # a few bytes can be both, and then they are UTF-8: 模 alone is what UTF-8 writes for ģ
        assume(text.getvalue().isascii() or not works(lambda _: content.decode(), ""))
    found = read(content)
    assert found.bad == []
    assert found.entries == [entry for _, entry in people]


@given(
    st.binary(max_size=200)
    | st.text(max_size=100).map(str.encode)
    | st.text('ab,;\t"\n\r@', max_size=60).map(str.encode)
)
@example(b"\xff\xfe\x00")
@example(b'a,"b\nc,d')
@example(b"username\n")
@example("，".encode("gb18030"))  # noqa: RUF001
def test_any_bytes_are_people_or_an_error_in_words(content: bytes) -> None:
    try:
        found = read(content)
    except StackgenError as error:
        assert error.problems[0].message
        return
    assert found.entries or found.bad
    lines = content.count(b"\n") + content.count(b"\r") + 1
    assert all(1 <= line.number <= lines and line.reason for line in found.bad)
    assert all(names.user_name(entry.name) == entry.name for entry in found.entries)
    assert len({entry.name for entry in found.entries}) == len(found.entries)


@given(classes())
def test_what_is_exported_is_imported(people: list[tuple[str, Entry]]) -> None:
    entries = [entry for _, entry in people]
    assert read(roster.write(entries)).entries == entries
    assert all(map(roster.holds, entries))


@pytest.mark.parametrize("entry", [Entry("ada", groups=("a;b",)), Entry("a;b"), Entry("ada", email="nonsense")])
def test_whom_a_roster_cannot_hold_is_known_before_it_is_written(entry: Entry) -> None:
    """Groups may come from a provider, and old accounts from an older set-up."""
    assert not roster.holds(entry)


def test_a_list_saved_by_excel_in_china() -> None:
    """GB18030, a header in Chinese, e-mail before class, an empty column and empty lines at the end."""
    text = "学号,邮箱,班级,\r\n2024001,li@example.edu,一班|助教,\r\n2024002,,一班,\r\n,,,\r\n,,,\r\n"
    found = read(text.encode("gb18030"))
    assert (found.bad, found.encoding) == ([], "GB18030")
    assert found.entries == [
        Entry("2024001", groups=("一班", "助教"), email="li@example.edu"),
        Entry("2024002", groups=("一班",)),
    ]


def test_a_list_saved_by_excel_in_germany() -> None:
    """Semicolons between cells, and quotes where a cell holds one."""
    found = read('username;password;groups\r\nAda;;"algebra;logic"\r\nbob;correct horse;algebra\r\n')
    assert found.entries == [Entry("ada", groups=("algebra", "logic")), Entry("bob", "correct horse", ("algebra",))]


def test_names_alone_are_enough() -> None:
    assert [entry.name for entry in read("Ada\n\n李雷\nbob@example.edu\n").entries] == [
        "ada",
        "李雷",
        "bob@example.edu",
    ]


def test_only_the_first_line_can_be_a_header() -> None:
    assert [entry.name for entry in read("ada\nuser\n").entries] == ["ada", "user"]
    assert [entry.name for entry in read("\n , \nUSER\nada\n").entries] == ["ada"]


@pytest.mark.parametrize("name", ["202401000001", "2e11", "1.5", "e+1", "2024e+lab"])
def test_numbers_that_no_spreadsheet_has_shortened_are_names(name: str) -> None:
    assert [entry.name for entry in read(name).entries] == [name]


def test_a_made_password_has_120_bits_and_nothing_that_is_misread() -> None:
    """Neither by people nor by a spreadsheet, to which a sign at the beginning is a formula."""
    made = [generated_password() for _ in range(500)]
    characters = set("".join(made))
    assert characters == set(string.ascii_letters + string.digits) - set("0Oo1Il")
    assert {len(password) * math.log2(len(characters)) >= 120 for password in made} == {True}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("a b", "its user name holds white space or a separator"),
        ("a/b", "the user name 'a/b' must not contain"),
        (",correct horse", "a user name must not be empty"),
        ("x" * 240, "must not be longer than"),
        ("李" * 40, "is too long for a volume"),
        ("bob,short", "the password is shorter than 8 characters"),
        ("bob," + "密" * 25, "the password must be printable and at most 72 bytes long"),
        ("bob,tab\x07ulator", "the password must be printable and at most 72 bytes long"),
        ("bob,,,bob.example.edu", "the e-mail address is none"),
        ("bob,,,a@b@c", "the e-mail address is none"),
        ("bob,,a|" + "x" * 256, "a group's name must be printable and at most 255 characters long"),
        ("bob,,,,surplus", "it has more cells than there are columns"),
        ('bob,"correct horse', "its quotation marks do not match"),
        ("bob;correct horse", "holds white space or a separator, and in this file commas separate cells"),
        ("bob，correct horse", "its user name holds white space or a separator"),  # noqa: RUF001  # typed by a Chinese keyboard
        ("2.02401E+11", "its user name is a number that a spreadsheet has shortened"),
        ('"2,02401E+11"', "its user name is a number that a spreadsheet has shortened"),
        ("2e+11,correct horse", "its user name is a number that a spreadsheet has shortened"),
        ("-x", "the user name '-x' must not begin with - or +"),
        ("ADA", "ADA is the same person as Ada on line 3"),
        ("ａｄａ", "ａｄａ is the same person as Ada on line 3"),  # noqa: RUF001
    ],
)
def test_a_bad_line_is_named_with_the_reason_and_the_others_stand(line: str, reason: str) -> None:
    found = read(f"username,password,groups,email\n\nAda,correct horse\n{line}\neve\n")
    assert [entry.name for entry in found.entries] == ["ada", "eve"]
    [bad] = found.bad
    assert bad.number == 4
    assert reason in bad.reason


def test_all_that_is_wrong_with_a_line_is_said_at_once() -> None:
    bad = read("a/b,short,,nonsense\n").bad
    assert [line.number for line in bad] == [1, 1, 1]
    assert all(word in line.reason for word, line in zip(("user name", "password", "e-mail"), bad, strict=True))


@pytest.mark.parametrize(
    "content",
    [
        "ada,hunter2",
        "ada," + "hunter2" * 20,
        "ada,hunter2\x07\x07",
        'ada,"hunter2hunter2',
        "ada\nbob;hunter2;x\neve,x,y",
        "ada;x\nbob,hunter2",
        "ada hunter2hunter2",
        "ada:hunter2hunter2",
        "ada|hunter2hunter2",
        "ada，hunter2hunter2",  # noqa: RUF001
        "ada,hunter2hunter2,,x@y,surplus",
        "ada,,,hunter2",
        "user,hunter2hunter2",  # a user called `user`: it looks like a header
        "user name;hunter2",
    ],
)
def test_no_message_repeats_a_password(content: str) -> None:
    try:
        said = " ".join(line.reason for line in read(content).bad)
    except StackgenError as error:
        said = " ".join(problem.message + problem.hint for problem in error.problems)
    assert said
    assert "hunter2" not in said
    assert "hunter2" not in repr(read("ada,hunter2hunter2").entries)


def test_with_a_providers_login_a_roster_holds_no_passwords() -> None:
    assert reasons("ada,correct horse\nbob\n", passwords=False) == {
        1: "there is a password, but with this login passwords are the provider's: leave it empty"
    }
    assert read("username,password,email\nada,,ada@example.edu\n", passwords=False).bad == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "there is nobody on the roster"),
        (b"\xef\xbb\xbf\r\n,,,\r\n", "there is nobody on the roster"),
        (b"username,password\n", "there is nobody on the roster"),
        (b"x" * (roster.LARGEST + 1), "the file is larger than"),
        (b"PK\x03\x04\x14\x00\x06", "the file is a workbook, not CSV"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "the file is a workbook, not CSV"),
        (b"ada\x00\n", "the file is neither UTF-8 nor UTF-16 nor GB18030 text"),
        ("José".encode("latin-1"), "the file is neither UTF-8 nor UTF-16 nor GB18030 text"),
        (b"username,telephone\nada,1815\n", "line 1: column 2 of the header is none of username"),
        ("学号,姓名\n1,李\n".encode(), "line 1: columns 1 and 2 of the header both mean username"),
        (b"password,email\nx,y\n", "line 1: the header has no column username"),
    ],
)
def test_a_file_that_is_no_roster_is_refused_as_a_whole(content: bytes, message: str) -> None:
    with pytest.raises(StackgenError) as refused:
        read(content)
    assert message in str(refused.value)
    assert refused.value.problems[0].hint
