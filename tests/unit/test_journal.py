"""The journal of an upgrade: whatever happens in between, every file comes back as it was."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stackgen.apply import apply
from stackgen.changes import compare
from stackgen.journal import DONE, FOLDER, REPLACED, STEPS, UNDOING, Journal, alone, paths_of

OLD = {"a": b"a\n", "b/c": b"c\n", "gone": b"gone\n", "hub/config.d/README.md": b"x\n"}
NEW = {"a": b"A\n", "b/c": b"c\n", "d/e": b"new\n", "hub/config.d/README.md": b"y\n", "nginx/conf.d/README.md": b"z\n"}
CONTENT = st.sampled_from([b"", b"mine\n", b"a\n", b"A\n", b"gone\n"])
EDITS = st.dictionaries(st.sampled_from([*OLD, *NEW, ".env", "notes.txt"]), CONTENT, max_size=4)


def contents(directory: Path) -> dict[str, tuple[bytes, int]]:
    """Every file with its mode, but for the journal itself and what was kept aside."""
    return {
        str(path.relative_to(directory)): (path.read_bytes(), path.stat().st_mode)
        for path in directory.rglob("*")
        if path.is_file() and not str(path.relative_to(directory)).startswith((FOLDER, REPLACED))
    }


def stack(directory: Path, edits: dict[str, bytes]) -> Journal:
    """A stack as an older release left it, with an operator's edits, and the journal of its upgrade."""
    apply(compare(OLD, directory), directory)
    (directory / ".env").write_text("SECRET=1\n")
    (directory / ".env").chmod(0o600)
    write(directory, edits)
    return Journal(
        directory, "0.1.0", "0.2.0", "1", {"x/hub": "sha256:1"}, True, {"bob": "x-bob"}, paths_of(OLD | NEW, directory)
    )


def write(directory: Path, edits: dict[str, bytes]) -> None:
    for path, content in edits.items():
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        (directory / path).write_bytes(content)


def upgrade(journal: Journal) -> None:
    journal.begin()
    apply(compare(NEW, journal.directory), journal.directory, merge=True)
    (journal.directory / ".env").write_text("SECRET=1\nMORE=2\n")
    journal.note_written()


@settings(max_examples=25, deadline=None)
@given(edits=EDITS)
def test_every_file_comes_back_as_it_was(tmp_path_factory: pytest.TempPathFactory, edits: dict[str, bytes]) -> None:
    """Whatever the operator had edited before; and nothing is said to be replaced that only the upgrade wrote."""
    directory = tmp_path_factory.mktemp("stack")
    journal = stack(directory, edits)
    before = contents(directory)
    upgrade(journal)
    assert journal.restore() == []
    assert contents(directory) == before


@settings(max_examples=25, deadline=None)
@given(edits=EDITS)
def test_nobodys_later_work_is_lost(tmp_path_factory: pytest.TempPathFactory, edits: dict[str, bytes]) -> None:
    """What is edited between upgrade and rollback is kept aside, or, where it is the operator's own, left alone."""
    directory = tmp_path_factory.mktemp("stack")
    journal = stack(directory, {})
    upgrade(journal)
    after = contents(directory)
    write(directory, edits)
    replaced = journal.restore()
    for path, content in edits.items():
        kept = (directory / path, directory / REPLACED / path)
        known = content in (after.get(path, (b"", 0))[0], OLD.get(path))
        assert known or any(place.is_file() and place.read_bytes() == content for place in kept)
    assert all((directory / REPLACED / path).stat().st_mode & 0o077 == 0 for path in replaced)


def test_a_journal_reads_as_it_was_written_and_holds_secrets_to_itself(tmp_path: Path) -> None:
    journal = stack(tmp_path, {})
    assert Journal.of(tmp_path) is None
    upgrade(journal)
    for step in STEPS:
        journal.enter(step)
        assert Journal.of(tmp_path) == journal
        assert journal.unfinished
    journal.enter(DONE)
    assert not journal.unfinished
    assert (tmp_path / FOLDER).stat().st_mode & 0o077 == 0
    assert (tmp_path / FOLDER / "journal.json").stat().st_mode & 0o077 == 0


def test_how_far_it_was_is_known_while_it_is_undone(tmp_path: Path) -> None:
    journal = stack(tmp_path, {})
    journal.begin()
    journal.enter("images")
    journal.enter(UNDOING)
    again = Journal.of(tmp_path)
    assert again
    assert again.reached_step("images")
    assert not again.reached_step("database")


def test_a_new_journal_begins_without_the_last_ones_copies(tmp_path: Path) -> None:
    journal = stack(tmp_path, {})
    upgrade(journal)
    (tmp_path / FOLDER / "before/stale").write_text("of the upgrade before")
    journal.begin()
    assert not (tmp_path / FOLDER / "before/stale").exists()


def test_whoever_goes_on_after_a_kill_is_waited_for(tmp_path: Path) -> None:
    """stackgen is killed while a program that it runs goes on: the next one begins when that has ended."""
    program = f"""
import os, signal
from pathlib import Path
from stackgen import journal, process
with journal.alone(Path({str(tmp_path)!r})):
    process.run(["sh", "-c", "kill -9 $PPID; sleep 1; touch {tmp_path}/ended"])
"""
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == -9
    assert not (tmp_path / "ended").exists()
    with alone(tmp_path):
        assert (tmp_path / "ended").exists()
    assert os.listdir(tmp_path / ".stackgen") == ["upgrade.lock"]  # noqa: PTH208
