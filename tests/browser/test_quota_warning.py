"""VOLUME_QUOTA where no file system enforces it, as on nearly every machine: people are told, nothing is stopped."""

import json
from collections.abc import Callable

from lab import Visitor
from playwright.sync_api import expect

from stackgen import names
from tests import logins
from tests.conftest import RunningStack, docker, stackgen


def test_whoever_is_above_the_quota_is_told_in_jupyterlab_and_the_admin_in_status(
    stack: RunningStack, visit: Callable[..., Visitor], account: Callable[[], tuple[str, str]]
) -> None:
    name, password = account()
    volume = names.volume_name(stack.settings["VOLUME_PREFIX"], name)
    mount = f"{volume}:/home/sage/notebooks"
    fill = "head -c 3000000 /dev/urandom > big.bin"
    docker("run", "--rm", "--network=none", "--volume", mount, f"{stack.name}/sage", "sh", "-c", fill)
    with logins.login(stack, VOLUME_QUOTA="2M"):
        user = visit()
        user.sign_in(name, password)
        warning = user.page.locator(".Toastify__toast").filter(has_text="2 MB are meant for each user")
        expect(warning).to_be_visible(timeout=20_000)
        expect(warning).to_contain_text("Your files take up 3 MB")
        user.write_file("still.txt", "2+2")
        expect(user.page.locator(".jp-DirListing-item").filter(has_text="still.txt")).to_be_visible()
        status = stackgen("status", "-C", stack.directory)
        assert f"above VOLUME_QUOTA: {name} (3.0 MB)" in status.stdout
        assert json.loads(stackgen("status", "--json", "-C", stack.directory).stdout)["above_quota"][name] > 2 * 2**20
        shown = json.loads(stackgen("volumes", "show", name, "--json", "-C", stack.directory).stdout)
        assert (shown["quota"], shown["enforced"]) == (2 * 2**20, False)
        assert user.traffic.problems == []
