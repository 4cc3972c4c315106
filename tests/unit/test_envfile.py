"""stackgen, python-dotenv and Compose itself see the same values in a .env, or stackgen refuses the file."""

import io
import re
import stat
from pathlib import Path

import dotenv
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from unit_support import as_compose_reads

from stackgen import envfile
from stackgen.errors import SETTINGS, StackgenError

few_compose_runs = settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.filter_too_much],
)

keys = st.from_regex(r"[A-Z][A-Z0-9_]{0,12}", fullmatch=True)
# what ends up in a .env: addresses, URLs, names, passwords - and everything else that can be typed or pasted
plausible = st.sampled_from(
    [
        "localhost",
        "jupyter.example.edu",
        "500M",
        "[::1]",
        "/etc/ssl/a#b.pem",
        "a,b,李雷",
        "debian:trixie-slim",
        "=a=",
        "a=b",
        "p@ss:w/rd",
        "${HOME}",
        "$$",
        "postgresql://user:pa$$word@host/name?sslmode=require&x=1",
        "#no",
        "a#b",
        "!important",
        "{{x}}",
        "%24",
        "~",
        "*",
    ]
) | st.sampled_from(["", "two words", "a # b", "it is $5", " padded ", "a  b", "#", " #"])
typed = st.text(alphabet="aB1-_.:/=,@%&!?~^*+()[]{}<>|; #$\té李\u3000\u00a0\u200b\x7f", max_size=20)
anything = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
values = plausible | typed | anything

piece = st.sampled_from(
    ["'", '"', "`", "$", "${A}", "$$", "\\", "\\n", "\\'", "#", " #", " ", "\t", "=", ":", ": ", "\r", "\x00",
     "\x0b", "\ufeff",
     "\u00a0", "\u3000", "\u2028", "\x85", "\x1c", "export ", "A", "KEY", "a", "1", "é", "value", "'value'", '"value"']
)  # fmt: skip
hostile = st.lists(piece, max_size=6).map("".join)
hostile_line = st.one_of(
    hostile,
    st.builds("A{}={}".format, hostile, hostile),
    st.builds("A={}".format, hostile),
    st.builds("A='{}'{}".format, hostile, hostile),
    st.builds('A="{}"{}'.format, hostile, hostile),
    st.builds("#{}".format, hostile),
)


def written(key: str, value: str) -> str | None:
    """The line that stackgen writes; None if it refuses the value."""
    try:
        return envfile.line(key, value)
    except StackgenError:
        return None


def accepted(text: str) -> dict[str, str] | None:
    """What stackgen reads; None if it refuses the text."""
    try:
        return envfile.parse(text)
    except StackgenError as error:
        assert error.exit_code == SETTINGS
        return None


def as_dotenv_reads(text: str) -> dict[str, str | None]:
    return dict(dotenv.dotenv_values(stream=io.StringIO(text), interpolate=False))


@given(st.dictionaries(keys, values, max_size=6), st.dictionaries(keys, values, max_size=6))
def test_what_is_written_is_read_back(before: dict[str, str], after: dict[str, str]) -> None:
    """New values replace old ones of the same key; all others stay."""
    writable = [{key: value for key, value in pairs.items() if written(key, value)} for pairs in (before, after)]
    text = envfile.updated("# mine\n", writable[0])
    assert envfile.parse(text) == writable[0]
    text = envfile.updated(text, writable[1])
    assert envfile.parse(text) == writable[0] | writable[1]
    assert text.startswith("# mine\n")
    assert text.endswith("\n")


@given(st.text(alphabet="abcXYZ0189-_.:/@%=,+?&# $()[]{}!~*;<>|", min_size=1))
def test_every_ordinary_ascii_value_can_be_written(value: str) -> None:
    assert written("KEY", value) is not None


@pytest.mark.parametrize("value", ["it's", "back\\slash", "two\nlines", "a\rb", "nul\x00", "'quoted'"])
def test_a_value_that_the_two_would_read_differently_is_refused(value: str) -> None:
    with pytest.raises(StackgenError, match="the value of KEY cannot be written"):
        envfile.line("KEY", value)


@few_compose_runs
@given(batch=st.lists(values, min_size=30, max_size=60))
def test_compose_and_dotenv_read_what_stackgen_writes(batch: list[str], tmp_path: Path) -> None:
    """The agreement that everything rests on, with the real Compose."""
    pairs = {f"K{index}": value for index, value in enumerate(batch) if written("K", value)}
    text = envfile.updated("", pairs)
    assert envfile.parse(text) == as_dotenv_reads(text) == as_compose_reads(tmp_path, text.encode(), pairs) == pairs


@few_compose_runs
@given(batch=st.lists(hostile_line, min_size=150, max_size=250, unique=True))
def test_every_strange_line_that_is_accepted_means_the_same_to_compose(batch: list[str], tmp_path: Path) -> None:
    """Each line that stackgen accepts by itself, all in one file under keys of their own."""
    lines = []
    for index, line in enumerate(batch):
        if accepted(line) is not None:
            lines.append(re.sub(r"^(A\w*)=", rf"K{index}_\1=", line))
    text = "\n".join(lines)
    expected = accepted(text)
    assume(expected)
    seen = {key for line in lines for key in re.findall(r"[A-Za-z_]\w*", line, flags=re.ASCII)}
    assert as_dotenv_reads(text) == expected
    assert as_compose_reads(tmp_path, text.encode(), seen) == expected, lines


@few_compose_runs
@given(lines=st.lists(hostile_line.filter(lambda line: accepted(line) is not None), min_size=2, max_size=5))
def test_lines_do_not_change_one_anothers_meaning(lines: list[str], tmp_path: Path) -> None:
    """No quote that opens on one line and closes on another, no comment that goes on."""
    text = "\n".join(lines)
    expected = accepted(text)
    assume(expected is not None)
    seen = set(re.findall(r"[A-Za-z_]\w*", text, flags=re.ASCII))
    assert as_compose_reads(tmp_path, text.encode(), seen) == expected


@pytest.mark.parametrize(
    "line",
    [
        'A="double quotes"', "A='it''s'", "A='a' b", "A=a'b", "A=$HOME", "A=${HOME}", "A=back\\slash", "A=`date`",
        "A=a # comment", "A=#x", "A=a\tb", "A=a\r", "A=\ta", "A=\u00a0a", "A='a", "A=a\x85b", "A=\x00",
        "export A=1", "A: value", "A", " A=1", "A =1", "A.B=1", "1A=1", "-A=1", "\ufeffA=1",
        "\ufeff# comment", "#\r", "\r",
        "\u3000", "=1", "A=1\nA=1", "A=1\nA=2", "A=1\n\nB=2\nA=",
    ],
)  # fmt: skip
def test_an_unclear_line_is_refused(line: str) -> None:
    assert accepted(line) is None


@pytest.mark.parametrize(
    ("line", "value"),
    [("A=", ""), ("A=''", ""), ("A=  b  ", "b"), ("A='  b '", "  b "), ("A='a#b'", "a#b"), ("A='a # b'", "a # b"),
     ("A='$HOME'", "$HOME"), ("A=a#b", "a#b"), ("A=b=c", "b=c"), ("A=two words", "two words"), ("A=李雷", "李雷")],
)  # fmt: skip
def test_a_clear_line_means_what_it_says(line: str, value: str, tmp_path: Path) -> None:
    assert envfile.parse(line) == {"A": value}
    assert as_compose_reads(tmp_path, line.encode(), ["A"]) == {"A": value}


def test_carriage_returns_in_a_file_are_seen(tmp_path: Path) -> None:
    """Python would turn them into line breaks while it reads, and so see settings that Compose does not."""
    env = tmp_path / ".env"
    for content in (b"A=1\r\nB=2\r\n", b"A=1\rB=2\n", b"# comment\rB=2\n"):
        env.write_bytes(content)
        with pytest.raises(StackgenError, match=r"carriage return|needs single quotes"):
            envfile.read(env)
    env.write_bytes(b"DOMAIN=caf\xe9\n")
    with pytest.raises(StackgenError, match="is not UTF-8"):
        envfile.read(env)


def test_every_bad_line_is_reported_by_its_number_and_none_is_repeated() -> None:
    """A line may hold a secret, and errors are pasted into issues."""
    with pytest.raises(StackgenError) as refused:
        envfile.parse('DOMAIN=localhost\nTOKEN="hunter2"\nhunter2\nA=1\nA=hunter2\nexport P=hunter2\n')
    messages = [problem.message for problem in refused.value.problems]
    assert [message.partition(":")[0] for message in messages] == [f".env line {line}" for line in (2, 3, 5, 6)]
    assert "hunter2" not in str(refused.value) + "".join(problem.hint for problem in refused.value.problems)
    with pytest.raises(StackgenError) as refused:
        envfile.line("PROXY_TOKEN", "hunter2'")
    assert "hunter2" not in str(refused.value)


def test_comments_blank_lines_and_order_survive() -> None:
    old = "# top\n\nB=1\n#A=commented out\nA='x y'  \n  \n# end\n"
    assert envfile.updated(old, {"A": "new", "C": "a # b"}) == (
        "# top\n\nB=1\n#A=commented out\nA=new\n  \n# end\nC='a # b'\n"
    )
    assert envfile.updated(old, {}) == old
    assert envfile.updated("A=1", {"B": "2"}) == "A=1\nB=2\n"


def test_the_file_is_its_owners_alone_and_stays_so(tmp_path: Path) -> None:
    env = tmp_path / ".env"
    envfile.write(env, "A=1\n")
    assert stat.S_IMODE(env.stat().st_mode) == 0o600
    env.chmod(0o644)
    envfile.write(env, "A=2\n")
    assert stat.S_IMODE(env.stat().st_mode) == 0o600
    assert env.read_text() == "A=2\n"


def test_a_crash_leaves_the_old_file_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    env = tmp_path / ".env"
    envfile.write(env, "A=old\n")

    def crash(*_: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(Path, "replace", crash)
    with pytest.raises(OSError, match="the disk is full"):
        envfile.write(env, "A=new\n")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {".env": "A=old\n"}


def test_text_that_could_not_be_read_back_is_never_written(tmp_path: Path) -> None:
    env = tmp_path / ".env"
    with pytest.raises(StackgenError):
        envfile.write(env, 'A="x"\n')
    assert not env.exists()
