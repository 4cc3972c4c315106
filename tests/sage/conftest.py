"""Fixtures of the tests of the Sage image: the image itself, and somebody who computes in it."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from stackgen import smoke
from stackgen.engine import Engine
from tests.conftest import RunningStack


@pytest.fixture(scope="session")
def sage_image(request: pytest.FixtureRequest) -> str:
    """The image's name: the running stack's, or the one that STACKGEN_TEST_SAGE_IMAGE names."""
    return os.environ.get("STACKGEN_TEST_SAGE_IMAGE") or f"{request.getfixturevalue('stack').name}/sage"


@pytest.fixture(scope="module")
def mathematicians(stack: RunningStack) -> Iterator[list[smoke.Browser]]:
    """Two users who have signed in and whose servers run; users, servers and volumes are gone afterwards."""
    with ExitStack() as accounts:
        yield [accounts.enter_context(at_work(stack)) for _ in range(2)]


@contextmanager
def at_work(stack: RunningStack) -> Iterator[smoke.Browser]:
    with smoke.visitor(stack.settings, Engine(), stack.hub) as (name, password):
        browser = smoke.Browser(stack.front, name)
        browser.sign_in(password)
        browser.start_server()
        yield browser
