"""A render brings a stack directory up to date and never takes away a byte that the user wrote."""

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unit_support import contents, init, problems

from stackgen import apply as applying
from stackgen import envfile
from stackgen.apply import apply
from stackgen.changes import RENDERED, State, compare
from stackgen.errors import CONFLICT
from tests.conftest import stackgen

NGINX = "nginx/nginx.conf"
MINE = "# mine: kept\n"


@pytest.fixture
def stack(tmp_path: Path) -> Path:
    """A stack directory fresh from `init`."""
    init(tmp_path / "stack")
    return tmp_path / "stack"


def switch_tls_off(stack: Path) -> None:
    """Edit .env such that nginx.conf and compose.yaml change."""
    with (stack / ".env").open("a") as file:
        file.write("TLS=off\n")


def append(path: Path, text: str = MINE) -> str:
    """Edit a file as a user does; its text then."""
    path.write_text(path.read_text() + text)
    return path.read_text()


def rendered_now(stack: Path, path: str) -> str:
    return (stack / RENDERED / path).read_text()


def test_a_render_without_changes_does_nothing(stack: Path) -> None:
    before = contents(stack)
    done = stackgen("render", "-C", stack)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "nothing to do: every file is as .env says\n"
    assert contents(stack) == before
    assert stackgen("render", "--check", "-C", stack).returncode == 0


def test_a_changed_setting_reaches_the_files_it_concerns(stack: Path) -> None:
    switch_tls_off(stack)
    done = stackgen("render", "-C", stack)
    assert done.returncode == 0
    rows = [line.split() for line in done.stdout.splitlines()]
    changed = ["compose.yaml", NGINX, "stackgen.service"]
    assert rows == [["file", "state"], *([path, "changed"] for path in changed)]
    assert "take effect with: stackgen up" in done.stderr
    assert "listen 443" not in (stack / NGINX).read_text()
    assert stackgen("render", "--check", "-C", stack).returncode == 0


def test_check_tells_and_writes_nothing(stack: Path) -> None:
    switch_tls_off(stack)
    before = contents(stack)
    done = stackgen("render", "--check", "-C", stack)
    assert done.returncode == CONFLICT == 3
    assert "compose.yaml" in done.stdout
    assert contents(stack) == before


def test_diff_shows_and_writes_nothing(stack: Path) -> None:
    switch_tls_off(stack)
    before = contents(stack)
    done = stackgen("render", "--diff", "-C", stack)
    assert done.returncode == 0
    assert f"--- {NGINX}\n+++ {NGINX} (rendered)\n" in done.stdout
    assert re.search(r"^-.*listen 443 ssl", done.stdout, flags=re.MULTILINE)
    assert contents(stack) == before
    assert stackgen("render", "--diff", "--check", "-C", stack).returncode == 3


def test_a_deleted_file_comes_back(stack: Path) -> None:
    (stack / NGINX).unlink()
    done = stackgen("render", "-C", stack)
    assert done.returncode == 0
    assert done.stdout.split()[2:] == [NGINX, "new"]
    assert (stack / NGINX).read_text() == rendered_now(stack, NGINX)


def test_an_edit_alone_is_kept_without_a_word_of_conflict(stack: Path) -> None:
    edited = append(stack / NGINX)
    for _ in range(2):
        done = stackgen("render", "-C", stack)
        assert done.returncode == 0
        assert "edited by you, kept" in done.stdout
        assert (stack / NGINX).read_text() == edited
        assert stackgen("render", "--check", "-C", stack).returncode == 0


def test_an_edit_of_a_file_that_changes_is_a_conflict(stack: Path) -> None:
    edited = append(stack / NGINX)
    switch_tls_off(stack)
    for _ in range(2):  # and it stays one
        done = stackgen("render", "-C", stack)
        assert done.returncode == CONFLICT
        [(message, hint)] = problems(done.stderr)
        assert message == f"{NGINX} was edited by you, and stackgen has a new version of it"
        assert f"{NGINX}.new" in hint
        assert "--merge" in hint
        assert "--keep-mine" in hint
        assert (stack / NGINX).read_text() == edited
        assert "listen 443" not in (stack / f"{NGINX}.new").read_text()
        # what can be done is done: the other files do not wait
        assert "${HTTPS_PORT:-443}:443" not in (stack / "compose.yaml").read_text()
    (stack / NGINX).write_text((stack / f"{NGINX}.new").read_text())
    assert stackgen("render", "-C", stack).returncode == 0
    assert not (stack / f"{NGINX}.new").exists()


def test_merge_takes_both_sides(stack: Path) -> None:
    append(stack / NGINX)
    switch_tls_off(stack)
    assert stackgen("render", "-C", stack).returncode == 3
    done = stackgen("render", "--merge", "-C", stack)
    assert done.returncode == 0, done.stderr
    assert f"merged {NGINX}" in done.stderr
    merged = (stack / NGINX).read_text()
    assert merged == rendered_now(stack, NGINX) + MINE
    assert "listen 443" not in merged
    assert not (stack / f"{NGINX}.new").exists()
    assert stackgen("render", "-C", stack).returncode == 0


def test_a_merge_that_fails_leaves_the_users_file_and_shows_the_marks(stack: Path) -> None:
    path = stack / NGINX
    path.write_text(path.read_text().replace("listen 443 ssl", "listen 444 ssl"))
    mine = path.read_text()
    switch_tls_off(stack)
    done = stackgen("render", "--merge", "-C", stack)
    assert done.returncode == CONFLICT
    assert path.read_text() == mine
    marked = (stack / f"{NGINX}.new").read_text()
    assert "<<<<<<< yours\n" in marked
    assert "listen 444 ssl" in marked
    assert ">>>>>>> rendered\n" in marked


def test_keep_mine_settles_it(stack: Path) -> None:
    edited = append(stack / NGINX)
    switch_tls_off(stack)
    assert stackgen("render", "-C", stack).returncode == 3
    assert stackgen("render", "--keep-mine", "-C", stack).returncode == 0
    assert (stack / NGINX).read_text() == edited
    assert not (stack / f"{NGINX}.new").exists()
    done = stackgen("render", "-C", stack)
    assert (done.returncode, "edited by you, kept" in done.stdout) == (0, True)


def test_a_file_of_the_users_own_in_the_way_is_kept(tmp_path: Path) -> None:
    """`init` in a folder that is not empty: what is there was written by somebody."""
    (tmp_path / "README.md").write_text("my notes\n")
    done = stackgen("init", tmp_path)
    assert done.returncode == CONFLICT
    assert (tmp_path / "README.md").read_text() == "my notes\n"
    assert (tmp_path / "README.md.new").read_text().startswith("This folder is a stack")
    assert (tmp_path / "compose.yaml").exists()


@pytest.mark.parametrize(
    "path", ["compose.override.yaml", "hub/config.d/README.md", "nginx/conf.d/README.md", "images/ca/README.md"]
)
def test_the_operators_files_are_written_once_and_never_again(stack: Path, path: str) -> None:
    mine = append(stack / path)
    added = (stack / path).parent / "mine.conf"
    added.write_text(MINE)
    switch_tls_off(stack)
    for flag in ("--merge", "--keep-mine"):
        assert stackgen("render", flag, "-C", stack).returncode == 0
        assert (stack / path).read_text() == mine
    (stack / path).unlink()
    done = stackgen("render", "-C", stack)
    assert (done.returncode, done.stdout) == (0, "")
    assert not (stack / path).exists()
    assert added.read_text() == MINE


def test_a_users_own_file_that_ends_in_new_is_left_alone(stack: Path) -> None:
    """FILE.new is stackgen's only where stackgen wrote it."""
    for path in ("compose.override.yaml.new", f"{NGINX}.new", "compose.yaml.new"):
        (stack / path).write_text(MINE)
    assert stackgen("render", "-C", stack).returncode == 0
    assert (stack / "compose.override.yaml.new").read_text() == MINE
    assert (stack / f"{NGINX}.new").read_text() == MINE
    assert (stack / "compose.yaml.new").read_text() == MINE


def test_a_file_that_is_no_longer_rendered_goes_unless_it_was_edited(tmp_path: Path) -> None:
    files = {"a.conf": b"a\n", "sub/b.conf": b"b\n", "images/ca/c": b"c\n"}
    apply(compare(files, tmp_path), tmp_path)
    (tmp_path / "sub/b.conf").write_bytes(b"b\nmine\n")
    changes = compare({}, tmp_path)
    assert {change.path: change.state for change in changes} == {
        "a.conf": State.ORPHAN, "sub/b.conf": State.EDITED_ORPHAN, "images/ca/c": State.EDITED_ORPHAN,
    }  # fmt: skip
    assert apply(changes, tmp_path).removed == ["a.conf"]
    assert contents(tmp_path) == {"sub/b.conf": b"b\nmine\n", "images/ca/c": b"c\n"}
    assert compare({}, tmp_path) == []


class PowerCut(BaseException):
    """Ends a render between two files; like a real one, nothing catches it."""


@contextmanager
def power_cut(after: int) -> Iterator[None]:
    """Let this many files be written, and then nothing."""
    write, left = applying.write, [after]

    def failing(path: Path, content: bytes) -> None:
        if not left[0]:
            raise PowerCut
        left[0] -= 1
        write(path, content)

    applying.write = failing
    try:
        yield
    finally:
        applying.write = write


OLD = {"a": b"1\n2\n3\n4\n5\n", "b/c": b"c\n", "d": b"d\n", "gone": b"gone\n", "hub/config.d/x": b"x\n"}
NEW = {"a": b"1\n2\n3\n4\n6\n", "b/c": b"cc\n", "d": b"d\n", "e": b"e\n", "hub/config.d/x": b"xx\n"}


@pytest.mark.parametrize("merge", [False, True])
@pytest.mark.parametrize("after", range(10))
def test_an_interrupted_render_is_finished_by_the_next_one(tmp_path: Path, after: int, merge: bool) -> None:
    ends = []
    for folder, interrupted in ((tmp_path / "whole", False), (tmp_path / "cut", True)):
        apply(compare(OLD, folder), folder)
        (folder / "a").write_bytes(b"mine\n" + OLD["a"])
        if interrupted:
            with power_cut(after), suppress(PowerCut):
                apply(compare(NEW, folder), folder, merge=merge)
        apply(compare(NEW, folder), folder, merge=merge)
        ends.append(contents(folder))
    assert ends[0] == ends[1]
    assert ends[0]["a"].startswith(b"mine\n")


def test_a_first_render_that_was_interrupted_is_finished_by_the_next_one(tmp_path: Path) -> None:
    for after in range(2 * len(NEW)):
        folder = tmp_path / str(after)
        with power_cut(after), pytest.raises(PowerCut):
            apply(compare(NEW, folder), folder)
        assert apply(compare(NEW, folder), folder).conflicts == []
        assert all((folder / path).read_bytes() == content for path, content in NEW.items())


def test_a_merge_that_the_user_is_resolving_is_not_written_over(stack: Path) -> None:
    """The marks stand in FILE.new, so that is where people resolve them."""
    path = stack / NGINX
    path.write_text(path.read_text().replace("listen 443 ssl", "listen 444 ssl"))
    switch_tls_off(stack)
    assert stackgen("render", "--merge", "-C", stack).returncode == CONFLICT
    resolved = append(stack / f"{NGINX}.new")
    for flags in ((), ("--merge",), ("--keep-mine",)):
        stackgen("render", *flags, "-C", stack)
        assert (stack / f"{NGINX}.new").read_text() == resolved


PATHS = ("a", "b/c", "compose.override.yaml", "hub/config.d/x")
shipped = st.dictionaries(st.sampled_from(PATHS), st.sampled_from([b"", b"1\n", b"1\n2\n", b"1\n2\n3\n", b"\xff\x00"]))
renders = st.tuples(st.just("render"), shipped, st.sampled_from(["", "merge", "keep_mine"]))
edits = st.tuples(st.just("edit"), st.sampled_from([*PATHS, "a.new", "compose.override.yaml.new"]), st.booleans())


@settings(deadline=None, max_examples=150)
@given(st.lists(renders | edits, max_size=12))
def test_no_line_that_the_user_wrote_is_ever_lost(steps: list[tuple[str, object, object]]) -> None:
    """Whatever is rendered after whichever edits: each edit adds a line of its own, and it stays in that file."""
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        written: dict[str, set[bytes]] = {}
        for number, (step, what, how) in enumerate(steps):
            if step == "render":
                flags = {str(how): True} if how else {}
                apply(compare(what, directory), directory, **flags)  # type: ignore[arg-type]
            else:
                path = directory / str(what)
                old = path.read_bytes() if path.exists() else b""
                line = b"user %d\n" % number
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(line + old if how else old + line)
                written.setdefault(str(what), set()).add(line)
            for name, lines in written.items():
                now = (directory / name).read_bytes()
                assert all(line.strip() in now for line in lines), name


def test_the_secrets_are_in_no_copy(stack: Path) -> None:
    secrets = [value for key, value in envfile.read(stack / ".env").items() if key.endswith("TOKEN")]
    assert len(secrets) == 2
    for path in (stack / ".stackgen").rglob("*"):
        assert path.is_dir() or not any(secret in path.read_text() for secret in secrets)


def test_merge_and_keep_mine_together_merge_what_can_be_merged(tmp_path: Path) -> None:
    """An upgrade must not leave a file behind only because another one cannot be merged."""
    files = {"near": b"1\n2\n3\n", "far": b"1\n2\n3\n4\n5\n"}
    apply(compare(files, tmp_path), tmp_path)
    for path in files:
        (tmp_path / path).write_bytes(b"mine\n" + files[path][2:])
    changes = compare({"near": b"one\n2\n3\n", "far": b"1\n2\n3\n4\nfive\n"}, tmp_path)
    report = apply(changes, tmp_path, merge=True, keep_mine=True)
    assert (report.merged, report.conflicts) == (["far"], [])
    assert (tmp_path / "near").read_bytes() == b"mine\n2\n3\n"
    assert (tmp_path / "far").read_bytes() == b"mine\n2\n3\n4\nfive\n"
    assert not list(tmp_path.glob("*.new"))
