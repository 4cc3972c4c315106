"""Fixtures of the browser tests: Debian's Chromium, and people who sit in front of it.

Needs root (for nsenter and mount) and the Debian package chromium; with fonts-noto-cjk, Chinese is readable on
screenshots.
"""

import os
import re
import shlex
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from lab import TIMEOUT, Visitor
from playwright.sync_api import Browser, ViewportSize, expect, sync_playwright

from stackgen import smoke
from stackgen.engine import Engine
from tests.conftest import RunningStack, docker

CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--use-angle=swiftshader",  # WebGL without a graphics card, for 3D scenes
    "--enable-unsafe-swiftshader",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
FAILED = pytest.StashKey[bool]()


def chromium_inside(container: str, folder: Path) -> Path:
    """A command, written into the folder, that starts Chromium in the network namespace of a container.

    In the machine's own namespace every container that starts or stops, anywhere on the machine, changes the list of
    its addresses, and Chromium then aborts all requests under way (ERR_NETWORK_CHANGED). A user's computer does not.

    There Docker's own name server answers, so identity providers on the stack's network are found by their names.
    """
    process = docker("inspect", "--format", "{{.State.Pid}}", container)
    names, command = folder / "resolv.conf", folder / "chromium"
    names.write_text("nameserver 127.0.0.11\n")
    inside = f'mount --bind {shlex.quote(str(names))} /etc/resolv.conf && exec {CHROMIUM} "$@"'
    namespaces = ["nsenter", f"--net=/proc/{process}/ns/net", "unshare", "--mount", "sh", "-c", inside, "chromium"]
    command.write_text(f'#!/bin/sh\nexec {shlex.join(namespaces)} "$@"\n')
    command.chmod(0o755)
    return command


@pytest.fixture(scope="session")
def browser(stack: RunningStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Chromium in nginx's network namespace, where the published ports lead to the ports behind them."""
    command = chromium_inside(f"{stack.name}-nginx-1", tmp_path_factory.mktemp("browser"))
    domain, http, https = (stack.settings[key] for key in ("DOMAIN", "HTTP_PORT", "HTTPS_PORT"))
    ports = f"--host-resolver-rules=MAP {domain}:{http} 127.0.0.1:80,MAP {domain}:{https} 127.0.0.1:443"
    expect.set_options(timeout=TIMEOUT)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=command, args=[*FLAGS, ports], timeout=TIMEOUT)
        yield chromium
        chromium.close()


@pytest.fixture
def visit(
    browser: Browser, stack: RunningStack, account: Callable[[], tuple[str, str]], request: pytest.FixtureRequest
) -> Iterator[Callable[..., Visitor]]:
    """`visit(width=1280, height=800)`: somebody with a browser of their own, nobody signed in; `locale="zh-CN"` and
    whatever else Playwright's contexts take are their preferences.

    If the test fails, their screens are saved in the folder that STACKGEN_TEST_ARTIFACTS names: before the accounts
    are gone, so this fixture depends on that one.
    """
    visitors: list[Visitor] = []

    def visit(width: int = 1280, height: int = 800, **preferences: Any) -> Visitor:
        size: ViewportSize = {"width": width, "height": height}
        context = browser.new_context(viewport=size, ignore_https_errors=True, **preferences)
        context.set_default_timeout(TIMEOUT)
        visitors.append(Visitor(context, stack.front.url))
        return visitors[-1]

    yield visit
    artifacts = os.environ.get("STACKGEN_TEST_ARTIFACTS")
    for number, visitor in enumerate(visitors, start=1):
        if artifacts and request.node.stash.get(FAILED, False):
            name = re.sub(r"\W+", "-", request.node.name).strip("-")
            visitor.save_screen(Path(artifacts) / f"{name}-{number}")
        visitor.context.close()


@pytest.fixture
def account(stack: RunningStack) -> Iterator[Callable[[], tuple[str, str]]]:
    """`account()` makes an account: name and password. User, server and volume are gone after the test."""
    with ExitStack() as accounts:
        yield lambda: accounts.enter_context(smoke.visitor(stack.settings, Engine(), stack.hub))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note for `visit` that a test has failed."""
    report = yield
    if report.failed:
        item.stash[FAILED] = True
    return report
