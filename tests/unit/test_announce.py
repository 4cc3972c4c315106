"""`stackgen announce`: a line in .env and in the file that the hub reads for each page, without a new container."""

from pathlib import Path

import pytest
from unit_support import contents, init, problems

from stackgen import envfile
from stackgen.errors import CONFLICT, SETTINGS, USAGE
from tests.conftest import stackgen


@pytest.fixture
def stack(tmp_path: Path) -> Path:
    """A stack that was never started."""
    init(tmp_path)
    return tmp_path


def announcement_of(stack: Path) -> tuple[str, str]:
    """What .env stores, and what the hub reads."""
    return envfile.read(stack / ".env").get("ANNOUNCEMENT", ""), (stack / "hub/announcement").read_text("utf-8")


def test_an_announcement_is_made_shown_changed_and_taken_away(stack: Path) -> None:
    """Nothing but .env and the one file changes, and no new container is needed."""
    before = contents(stack)
    assert announcement_of(stack) == ("", "\n")
    done = stackgen("announce", "-C", stack)
    assert (done.returncode, done.stdout) == (0, "")
    assert "there is no announcement" in done.stderr

    done = stackgen("announce", "-C", stack, "周五 18:00 停机维护: save your work, <b>all</b> of it & $HOME")
    assert (done.returncode, done.stdout) == (0, "")
    assert "https://localhost/hub/login" in done.stderr
    text = "周五 18:00 停机维护: save your work, <b>all</b> of it & $HOME"
    assert announcement_of(stack) == (text, f"{text}\n")
    assert stackgen("announce", "-C", stack).stdout == f"{text}\n"
    after = contents(stack)
    changed = {path for path in after if after[path] != before.get(path)}
    assert {path for path in changed if not path.startswith(".stackgen/")} == {".env", "hub/announcement"}
    assert stackgen("render", "--check", "-C", stack).returncode == 0

    assert stackgen("announce", "-C", stack, "Back again").returncode == 0
    assert announcement_of(stack) == ("Back again", "Back again\n")
    for _ in range(2):
        assert stackgen("announce", "-C", stack, "--clear").returncode == 0
        assert announcement_of(stack) == ("", "\n")


def test_what_env_cannot_hold_is_made_to_fit_or_refused(stack: Path) -> None:
    assert stackgen("announce", "-C", stack, "We're down:\n  save  your\twork ").returncode == 0
    assert announcement_of(stack)[0] == "We\N{RIGHT SINGLE QUOTATION MARK}re down: save your work"
    before = contents(stack)
    for text, code, words in [
        ("C:\\temp is full", SETTINGS, "the value of ANNOUNCEMENT cannot be written into .env"),
        ("x" * 301, SETTINGS, "must have at most 300 characters, and has 301"),
        ("bell \a", SETTINGS, "must be printable characters"),
        ("", USAGE, "the announcement is empty"),
        ("  ", USAGE, "the announcement is empty"),
    ]:
        done = stackgen("announce", "-C", stack, text)
        assert (done.returncode, done.stdout) == (code, ""), text
        assert words in problems(done.stderr)[0][0]
    done = stackgen("announce", "-C", stack, "--clear", "Hello")
    assert done.returncode == USAGE
    assert contents(stack) == before


def test_a_file_that_the_operator_edited_is_kept(stack: Path) -> None:
    (stack / "hub/announcement").write_text("mine\n")
    done = stackgen("announce", "-C", stack, "Theirs")
    assert done.returncode == CONFLICT
    assert "hub/announcement was edited by you" in done.stderr
    assert announcement_of(stack) == ("Theirs", "mine\n")


def test_an_interrupted_announcement_is_finished_by_the_next_one(stack: Path) -> None:
    """.env was written, and the hub's file was not."""
    env = stack / ".env"
    env.write_text(env.read_text() + "ANNOUNCEMENT=Exam on Friday\n")
    assert stackgen("announce", "-C", stack, "Exam on Friday").returncode == 0
    assert announcement_of(stack) == ("Exam on Friday", "Exam on Friday\n")
