"""The machine is gone, and a backup is there."""

import stat

import pytest
from rescue import NOTEBOOK, USERS, Rescued

from stackgen.smoke import Browser
from tests import hard_cases
from tests.conftest import docker, stackgen


@pytest.mark.parametrize("user", USERS)
def test_every_file_of_a_user_comes_back(rescued: Rescued, user: str) -> None:
    """Contents, modes, owners, times, links, holes and attributes, of names in every script and in none."""
    volume = rescued.volume(user)
    before, after = rescued.before[volume], rescued.after[volume]
    assert len(before) > 80
    assert {path: after.get(path) for path in before} == before
    assert set(after) == set(before)


def test_what_was_being_written_is_there_as_it_was_at_some_moment(rescued: Rescued) -> None:
    with rescued.engine.inside():
        held = docker(
            *("run", "--rm", "--network=none", "--entrypoint=sh", "--volume", f"{rescued.volume(USERS[1])}:/v:ro"),
            *(f"{rescued.stack.name}/hub", "-c", f"wc -c /v/{hard_cases.BUSY}/*"),
        )
    sizes = {line.split()[1].rpartition("/")[2]: int(line.split()[0]) for line in held.splitlines()[:-1]}
    assert sizes.pop("log") > 0
    assert len(sizes) > 20
    assert {size for name, size in sizes.items() if not name.endswith(".new")} == {20_000}


def test_settings_secrets_and_the_operators_files_come_back(rescued: Rescued) -> None:
    original, restored = rescued.original.directory, rescued.stack.directory
    for path in sorted(original.rglob("*")):
        name = path.relative_to(original)
        if path.is_file() and name.parts[:2] != (".stackgen", "backup") and name.name != ".env":
            assert (restored / name).read_bytes() == path.read_bytes(), name
    assert stat.S_IMODE((restored / ".env").stat().st_mode) == 0o600
    here, there = rescued.original.settings, rescued.stack.settings
    assert {key for key in here if here[key] != there[key]} == {"DOCKER_VOLUMES"}  # this engine has its own
    assert there["DOCKER_VOLUMES"] == str(rescued.engine.volumes)


def test_people_log_in_and_their_notebooks_run(rescued: Rescued) -> None:
    """Accounts and admins are there, and a notebook that was saved before computes what it did."""
    with rescued.engine.inside():
        stack = rescued.stack
        assert next(user.admin for user in stack.hub.users() if user.name == stack.admin)
        browser = Browser(stack.front, rescued.user)
        browser.sign_in(rescued.password)
        browser.start_server()
        notebook = browser.api("GET", "/api/contents/work.ipynb").json()["content"]
        assert [cell["source"] for cell in notebook["cells"]] == [cell["source"] for cell in NOTEBOOK["cells"]]
        kernel = browser.start_kernel()
        printed = [browser.execute(kernel, cell["source"]) for cell in notebook["cells"]]
        assert printed == ["", "True 42"]
        listed = docker("volume", "inspect", "--format", "{{json .Labels}}", rescued.volume(rescued.user))
        assert f'"stackgen.user":"{rescued.user}"' in listed


def test_the_restored_stack_backs_itself_up(rescued: Rescued) -> None:
    with rescued.engine.inside():
        done = stackgen("backup", "run", "-C", rescued.stack.directory)
        assert done.returncode == 0, done.stderr
