"""Fixtures of the unit tests: stacks whose hub is a stand-in."""

from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest
from hub_support import ACCOUNTS, GITHUB, HubStandIn


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[HubStandIn]:
    """A stack with accounts whose hub is up."""
    with HubStandIn(tmp_path) as server:
        server.log_in_with(ACCOUNTS)
        Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def provider(hub: HubStandIn) -> HubStandIn:
    """The same with a provider's login."""
    hub.log_in_with(GITHUB)
    return hub
