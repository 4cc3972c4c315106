"""What `stackgen upgrade` says before it does anything: versions, settings, files, and what becomes of edits."""

import json
import os
import pty
import subprocess
from pathlib import Path

import pytest

from stackgen import __version__, journal, migrations
from stackgen.changes import RENDERED
from stackgen.engine import Engine
from stackgen.errors import CONFLICT, StackgenError
from stackgen.migrations import Migration, removed, renamed
from stackgen.stack import Stack
from stackgen.upgrade import begin, interrupted
from stackgen.upgrade_plan import Plan
from stackgen.versions import RECORD
from tests.conftest import STACKGEN, stackgen


@pytest.fixture
def stack(tmp_path: Path) -> Path:
    """A stack as an older release would have left it: other pins, other defaults, other files."""
    directory = tmp_path / "stack"
    assert stackgen("init", directory, "--admin", "ada").returncode == 0
    (directory / RECORD).unlink()
    older(directory, "images/hub/requirements.txt", "jupyterhub==", "jupyterhub==5.9.9 \\\n    # was ")
    older(directory, ".env.example", "#MEM_LIMIT=500M", "#MEM_LIMIT=400M\n#FLYING_CARS=false")
    older(directory, ".env.example", "#STACK_TITLE=JupyterHub\n", "")
    older(directory, "compose.yaml", "max-size: 10m", "max-size: 5m")
    return directory


def older(directory: Path, path: str, old: str, new: str) -> None:
    for file in (directory / path, directory / RENDERED / path):
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new, 1))


def edit(directory: Path, path: str, old: str, new: str) -> None:
    text = (directory / path).read_text()
    assert old in text
    (directory / path).write_text(text.replace(old, new, 1))


def files(directory: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_the_table_says_what_changes_and_changes_nothing(stack: Path) -> None:
    edit(stack, "nginx/nginx.conf", "worker_rlimit_nofile 8192", "worker_rlimit_nofile 8000")
    before = files(stack)
    done = stackgen("upgrade", "--check", "-C", stack)
    assert done.returncode == CONFLICT
    rows = [line.split(maxsplit=1) for line in done.stdout.splitlines() if line]
    assert ["stackgen", f"0.1.0  {__version__}"] in rows
    assert any(name == "jupyterhub" and rest.startswith("5.9.9  ") for name, rest in rows)
    assert ["MEM_LIMIT", "default 400M -> 500M, which holds here"] in rows
    assert ["FLYING_CARS", "no longer there"] in rows
    assert ["STACK_TITLE", "new"] in rows
    assert ["compose.yaml", "changed"] in rows
    assert ["nginx/nginx.conf", "edited by you, kept"] in rows
    assert files(stack) == before


def test_a_program_reads_the_same(stack: Path) -> None:
    answer = json.loads(stackgen("upgrade", "--check", "--json", "-C", stack).stdout)
    assert answer["pending"]
    assert answer["versions"][0] == {"name": "stackgen", "now": "0.1.0", "new": __version__}
    assert answer["settings"]["STACK_TITLE"] == "new"
    assert answer["files"]["compose.yaml"] == "changed"
    assert answer["conflicts"] == []


def test_a_setting_of_ones_own_is_told_from_one_that_follows_the_default(stack: Path) -> None:
    with (stack / ".env").open("a") as env:
        env.write("MEM_LIMIT=450M\n")
    done = stackgen("upgrade", "--check", "-C", stack)
    assert "MEM_LIMIT    default 400M -> 500M\n" in done.stdout


def test_diff_shows_what_every_file_becomes_with_the_edits_in_it(stack: Path) -> None:
    with (stack / "compose.yaml").open("a") as file:
        file.write("# mine\n")
    done = stackgen("upgrade", "--diff", "-C", stack)
    assert done.returncode == 0
    assert "compose.yaml  " in done.stdout
    assert "edited by you, merged" in done.stdout
    assert "-  options: { max-size: 5m" in done.stdout
    assert "+  options: { max-size: 10m" in done.stdout
    assert "-# mine" not in done.stdout


def test_a_conflict_ends_it_and_is_offered_beside_the_file(stack: Path) -> None:
    edit(stack, "compose.yaml", "max-size: 5m", "max-size: 7m")
    before = files(stack)
    assert "edited by you: CONFLICT" in stackgen("upgrade", "--check", "-C", stack).stdout
    assert files(stack) == before
    with pytest.raises(StackgenError, match=r"compose\.yaml was edited by you where the new version") as error:
        begin(Plan.of(Stack.at(stack)), Engine(), backup=False, keep_mine=False)
    assert error.value.exit_code == CONFLICT
    offered = (stack / "compose.yaml.new").read_text()
    assert "<<<<<<< yours\n" in offered
    assert "max-size: 7m" in offered
    assert "max-size: 10m" in offered
    after = {path: content for path, content in files(stack).items() if before.get(path) != content}
    assert {Path(path).name for path in after} == {"compose.yaml.new", "compose.yaml"}  # and its copy in .stackgen
    assert (stack / "compose.yaml").read_bytes() == before[str(stack / "compose.yaml")]
    kept = Plan.of(Stack.at(stack)).files(keep_mine=True)
    assert ["compose.yaml", "edited by you, kept"] in kept


def test_renamed_and_removed_settings_are_read_as_this_version_has_them(
    stack: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the upgrade, too; .env itself is changed by the upgrade alone, and the plan says how."""
    moves = (
        Migration("0.1.1", renamed("MEMORY", "MEM_LIMIT")),
        Migration(__version__, removed("FLYING_CARS", "has no effect any more")),
    )
    monkeypatch.setattr(migrations, "MIGRATIONS", moves)
    text = (stack / ".env").read_text() + "MEMORY=450M\n# mine\nFLYING_CARS=true\n"
    (stack / ".env").write_text(text)
    assert Stack.at(stack).settings["MEM_LIMIT"] == "450M"
    plan = Plan.of(Stack.at(stack))
    assert plan.notes == ["MEMORY is called MEM_LIMIT now", "FLYING_CARS has no effect any more"]
    assert plan.env == text.replace("MEMORY=", "MEM_LIMIT=").replace("FLYING_CARS=true\n", "")
    assert "MEMORY is called MEM_LIMIT now" in plan.text()
    assert Stack.at(stack).store(STACK_TITLE="Sage").settings["MEM_LIMIT"] == "450M"
    assert "MEMORY=450M\n" in (stack / ".env").read_text()


def test_a_secret_that_the_older_release_did_not_have_is_made(stack: Path) -> None:
    """It is in nobody's way before: what only reads goes on without it."""
    lines = (stack / ".env").read_text().splitlines(keepends=True)
    (stack / ".env").write_text("".join(line for line in lines if not line.startswith("CRYPT_KEY=")))
    assert stackgen("url", "-C", stack).returncode == 0
    plan = Plan.of(Stack.at(stack))
    assert plan.notes == ["CRYPT_KEY is made"]
    secret = plan.env.partition("CRYPT_KEY=")[2].strip()
    assert len(secret) == 43
    assert secret not in plan.text() + json.dumps(plan.data()) + plan.diff()


def test_nothing_to_upgrade(stack: Path) -> None:
    (stack / RECORD).write_text(f"{__version__}\n")
    done = stackgen("upgrade", "-C", stack)
    assert done.returncode == 0
    assert "nothing to upgrade" in done.stderr
    assert stackgen("upgrade", "--check", "-C", stack).returncode == 0


def test_without_a_terminal_the_flag_is_named_and_on_one_only_yes_means_yes(stack: Path) -> None:
    before = files(stack)
    done = stackgen("upgrade", "-C", stack)
    assert done.returncode == 2
    assert f"Upgrade to {__version__}? Nobody can be asked" in done.stderr
    assert "hint: use --yes" in done.stderr
    master, slave = pty.openpty()
    os.write(master, b"n\n")
    asked = subprocess.run([STACKGEN, "upgrade", "-C", stack], stdin=slave, capture_output=True, text=True, check=False)
    assert asked.returncode == 1
    assert f"Upgrade to {__version__}? [y/N]" in asked.stderr
    assert "nothing was changed" in asked.stderr
    lock = str(stack / journal.LOCK)
    assert {path: content for path, content in files(stack).items() if path != lock} == before


def test_another_version_does_not_go_on_with_what_was_interrupted(stack: Path) -> None:
    left = journal.Journal(stack, "0.1.0", "9.9.9", "1", {}, True, {}, [])
    with pytest.raises(StackgenError, match=r"an upgrade to stackgen 9\.9\.9 was interrupted"):
        interrupted(left)
    left.step = journal.UNDOING
    assert "going back from 9.9.9 to 0.1.0 was interrupted" in interrupted(left)


def test_rollback_says_when_there_is_nothing_to_take_back(stack: Path) -> None:
    done = stackgen("rollback", "--yes", "-C", stack)
    assert done.returncode == 1
    assert "there is no upgrade to take back" in done.stderr
