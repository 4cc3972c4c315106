"""Which stackgen rendered a stack directory, and what another one refuses to do there."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stackgen import __version__
from stackgen.errors import StackgenError
from stackgen.journal import FOLDER, claim
from stackgen.stack import Stack
from stackgen.versions import FIRST, RECORD, number, rendered_by
from tests.conftest import stackgen

NUMBERS = st.tuples(*[st.integers(min_value=0, max_value=10**6)] * 3)
NEWER = "99.0.0"


@pytest.fixture
def stack(tmp_path: Path) -> Path:
    directory = tmp_path / "stack"
    assert stackgen("init", directory, "--admin", "ada").returncode == 0
    return directory


def files(directory: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


@given(one=NUMBERS, other=NUMBERS)
def test_versions_are_ordered_as_numbers(one: tuple[int, int, int], other: tuple[int, int, int]) -> None:
    """0.10.0 is newer than 0.9.0."""
    assert (number(".".join(map(str, one))) < number(".".join(map(str, other)))) == (one < other)


@given(text=st.text(alphabet="0123456789.-+abv \n٣", max_size=12))
def test_anything_else_is_no_version(text: str) -> None:
    """A version that is taken is written in one way only."""
    try:
        found = number(text)
    except ValueError:
        return
    assert ".".join(map(str, found)) == text


def test_this_version_is_a_version() -> None:
    assert number(__version__) > number(FIRST)


def test_init_records_the_version_and_a_directory_without_a_record_is_the_first_releases(stack: Path) -> None:
    assert (stack / RECORD).read_text() == f"{__version__}\n"
    (stack / RECORD).unlink()
    assert rendered_by(stack) == FIRST


@pytest.mark.parametrize("record", ["", "new\n", "0.2\n", "\xff"])
def test_a_record_that_says_nothing_is_named(stack: Path, record: str) -> None:
    (stack / RECORD).write_text(record, encoding="latin-1")
    done = stackgen("render", "-C", stack)
    assert done.returncode == 1
    assert f"{stack / RECORD} does not say which stackgen rendered this stack" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [["render"], ["up"], ["init", "."], ["announce", "hello"], ["upgrade", "--yes"], ["upgrade", "--check"]],
)
def test_where_a_newer_stackgen_has_rendered_nothing_is_written(stack: Path, arguments: list[str]) -> None:
    (stack / RECORD).write_text(f"{NEWER}\n")
    before = files(stack)
    done = stackgen(*arguments, cwd=stack)
    assert done.returncode == 1
    assert f"error: stackgen {NEWER} rendered this stack, and this is stackgen {__version__}" in done.stderr
    assert "a downgrade is refused, because an older version knows neither" in done.stderr
    assert f"hint: install stackgen {NEWER}" in done.stderr
    assert files(stack) == before


def test_what_only_a_newer_stackgen_knows_does_not_keep_anybody_from_reading(stack: Path) -> None:
    (stack / RECORD).write_text(f"{NEWER}\n")
    with (stack / ".env").open("a") as env:
        env.write("FLYING_CARS=true\n")
    assert stackgen("url", "-C", stack).stdout == "https://localhost/\n"
    with pytest.raises(StackgenError, match="a downgrade is refused"):
        Stack.at(stack).store(MEM_LIMIT="600M")


@pytest.mark.parametrize("arguments", [["render"], ["up"], ["init", "."]])
def test_where_an_older_stackgen_has_rendered_the_upgrade_is_named(stack: Path, arguments: list[str]) -> None:
    (stack / RECORD).unlink()
    before = files(stack)
    done = stackgen(*arguments, cwd=stack)
    assert done.returncode == 3
    assert f"error: stackgen {FIRST} rendered this stack, and this is stackgen {__version__}" in done.stderr
    assert "stackgen upgrade" in done.stderr
    assert files(stack) == before
    assert stackgen("render", "--check", cwd=stack).returncode == 0  # it reads only
    assert stackgen("announce", "hello", cwd=stack).returncode == 0  # one line of text, in one file of its own


def test_while_an_upgrade_is_interrupted_nothing_else_is_begun(stack: Path) -> None:
    (stack / FOLDER).mkdir()
    said = {"before": FIRST, "after": __version__, "identity": "1", "images": {}, "running": True, "servers": {}}
    (stack / FOLDER / "journal.json").write_text(json.dumps(said | {"paths": [], "step": "images"}))
    with pytest.raises(StackgenError, match=f"the upgrade from {FIRST} to {__version__} was interrupted"):
        claim(stack)
    assert stackgen("upgrade", "--check", "-C", stack).returncode == 3
    (stack / FOLDER / "journal.json").write_text("{")
    with pytest.raises(StackgenError, match="cannot be read"):
        claim(stack)
