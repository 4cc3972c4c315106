"""A deployment set up by hand, in the old way, comes under stackgen with every file.

That way: JupyterHub on the machine itself, with DockerSpawner and a volume jupyterhub-user-{username} for each user, no
labels; the users' servers wrote as uid 1000 of the image, and what was copied in by hand belongs to somebody else.
"""

import csv
import io
import json
from collections.abc import Iterator

import pytest
from volume_support import HARD_CASES, exists, in_volume, look, volume_of, volumes

from stackgen.engine import Engine
from stackgen.people import remove
from stackgen.smoke import Browser
from tests.conftest import RunningStack, docker

NAMES = ["anna", "李雷", "jo.smith@example.edu", "tex-2d"]


@pytest.fixture
def by_hand(stack: RunningStack) -> Iterator[dict[str, list[str]]]:
    """The volumes of the old deployment, by their users, with what they hold."""
    held = {}
    for name in NAMES:
        volume = volume_of(stack, name)
        in_volume(stack, volume, HARD_CASES if name == "李雷" else f"echo of {name} > notes.txt", user="1000")
        if name == "anna":
            in_volume(
                stack, volume, "mkdir copied; echo x > copied/in; chown -R 1001:1001 copied; chmod 4711 copied/in"
            )
        held[name] = look(stack, volume)
    try:
        yield held
    finally:
        for name in NAMES:
            remove(stack.settings, Engine(), stack.hub, name, volume=True)


def test_every_file_of_a_deployment_made_by_hand_is_there(stack: RunningStack, by_hand: dict[str, list[str]]) -> None:
    """Shown first; not while the old server runs; then with the files of others mended and the people added."""
    anna = volume_of(stack, "anna")
    old = docker("run", "--detach", "--network=none", "--volume", f"{anna}:/data", f"{stack.name}/sage", "sleep", "600")
    refused = volumes(stack, "adopt", "--chown", code=3).stderr
    assert f"which is not this stack's, runs on {anna}" in refused
    assert look(stack, anna) == by_hand["anna"]
    docker("rm", "--force", old)

    shown = volumes(stack, "adopt", "--json", code=3)
    adoptable = {item["volume"]: item for item in json.loads(shown.stdout)}
    for name in NAMES:
        item = adoptable[volume_of(stack, name)]
        assert (item["user"], item["known"], item["in_use_by"]) == (name, False, [])
        assert item["foreign"] == (2 if name == "anna" else 0)
    assert "mend them with --chown" in shown.stderr

    done = volumes(stack, "adopt", "--chown", "--add-users", "--output", "-")
    passwords = dict(csv.reader(io.StringIO(done.stdout)))
    assert passwords.keys() >= set(NAMES)
    for name in NAMES:
        now, before = look(stack, volume_of(stack, name)), by_hand[name]
        assert now == [line.replace("\t1001\t", "\t1000\t") for line in before]
    assert any("copied/in\tf\t4711" in line for line in look(stack, anna))

    browser = Browser(stack.front, "anna")
    browser.sign_in(passwords["anna"])
    browser.start_server()
    assert browser.api("GET", "/api/contents/notes.txt").json()["content"] == "of anna\n"
    docker("exec", stack.container("anna"), "sh", "-c", "echo changed >> copied/in")
    listed = {item["owner"]: item for item in json.loads(volumes(stack, "list", "--json").stdout)}
    assert all(listed[name]["adopted"] and listed[name]["known"] for name in NAMES)


def test_a_volume_of_any_name_is_copied_and_the_original_stays(stack: RunningStack) -> None:
    """As of a deployment that named volumes otherwise; nothing of the user's is overwritten."""
    old, mine = f"{stack.name}-old-work", volume_of(stack, "mover")
    in_volume(stack, old, "echo old > both; echo old > only; chown -R 1234:1234 .")
    before = look(stack, old)
    try:
        volumes(stack, "adopt", old, "--user", "mover")
        assert in_volume(stack, mine, "cat both only; stat -c %u both", user="1000").split() == ["old", "old", "1000"]
        in_volume(stack, mine, "echo mine > both", user="1000")
        assert "error: both\n" in volumes(stack, "adopt", old, "--user", "mover", code=3).stderr
        volumes(stack, "adopt", old, "--user", "mover", "--into", "old")
        assert in_volume(stack, mine, "cat both old/both", user="1000").split() == ["mine", "old"]
        assert look(stack, old) == before
        assert "there is no volume" in volumes(stack, "adopt", f"{old}-2", "--user", "mover", code=1).stderr
        assert not exists(f"{old}-2")
    finally:
        docker("volume", "rm", old, mine)
