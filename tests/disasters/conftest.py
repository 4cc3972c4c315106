"""The stack that disasters befall: one that came out of a backup, on an engine of its own."""

import secrets
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from rescue import LARGE_FILE, NOTEBOOK, SMALL_FILES, USERS, Rescued

from stackgen import names
from stackgen.smoke import Browser
from tests import hard_cases
from tests.conftest import RunningStack, docker, stackgen
from tests.own_engine import OwnEngine


def _work(stack: RunningStack, user: str) -> str:
    """A user's day: a notebook and a file are saved. The password."""
    password = stack.user(user)
    browser = Browser(stack.front, user)
    browser.sign_in(password)
    browser.start_server()
    browser.api("PUT", "/api/contents/work.ipynb", json={"type": "notebook", "format": "json", "content": NOTEBOOK})
    browser.api("PUT", "/api/contents/data.txt", json={"type": "file", "format": "text", "content": "42"})
    return password


@pytest.fixture(scope="session")
def rescued(stack: RunningStack) -> Iterator[Rescued]:
    """25 users with all that a backup can get wrong, and one who computes; their stack backed up and restored."""
    # a disk, which /tmp need not be
    place = Path(tempfile.mkdtemp(prefix="stackgen-test-", dir="/var/tmp"))
    engine = OwnEngine(place / "engine", f"d{secrets.token_hex(4)}")
    image, repository = f"{stack.name}/hub", place / "repository"
    volumes = [names.volume_name(stack.settings["VOLUME_PREFIX"], user) for user in USERS]
    pool = ThreadPoolExecutor()
    try:
        password = _work(stack, "emmy")
        hard_cases.fill(image, volumes, small=SMALL_FILES, large=LARGE_FILE)
        done = stackgen("backup", "init", "--repository", repository, "--set", "BACKUP_KEEP=all", "-C", stack.directory)
        assert done.returncode == 0, done.stderr
        before = hard_cases.digest(image, volumes)
        writer = hard_cases.writing(image, volumes[1])
        done = stackgen("backup", "run", "-C", stack.directory)
        assert done.returncode == 0, done.stderr
        docker("rm", "--force", writer)
        stack.hub.remove_user("emmy")  # with the notebook: the original has nothing to do with what follows
        docker("rm", "--force", stack.container("emmy"))
        docker("volume", "rm", *volumes, names.volume_name(stack.settings["VOLUME_PREFIX"], "emmy"))

        engine.start()
        engine.load(stack.settings["BASE_IMAGE"])
        # copied meanwhile: a restore needs none of them
        loading = pool.submit(engine.load, *(f"{stack.name}/{image}" for image in ("hub", "nginx", "sage")))
        key = f"BACKUP_PASSWORD={stack.settings['BACKUP_PASSWORD']}\n"
        with engine.inside():
            back = ("backup", "restore", place / "stack", "--repository", repository, "--secrets", "-")
            done = stackgen(*back, stdin=key)
            assert done.returncode == 0, done.stderr
            loading.result()
            after = hard_cases.digest(image, volumes)
            restored = RunningStack(place / "stack", stack.admin, stack.password)
            restored.compose("up", "--detach", "--wait", "--no-build")
        yield Rescued(engine, stack, restored, repository, "emmy", password, before, after, done.stderr)
    finally:
        pool.shutdown()
        engine.remove()
        for volume in volumes:
            docker("volume", "rm", "--force", volume)
        shutil.rmtree(place)
