"""What the hub does just before a server starts, where the engine that it would take cannot be had.

The rest is tested with real servers. A kernel with project quotas is not to be had on every machine that runs these
tests, so what such an engine answers is played here: quotas that it takes, and its words where it cannot.
"""

import asyncio
import logging
from types import SimpleNamespace
from typing import Any

import hub_package  # noqa: F401  # finds the hub's own package
import pytest
from docker.errors import APIError, NotFound
from hypothesis import given
from hypothesis import strategies as st
from stackgen_hub import servers

from stackgen import checks
from stackgen.engine import Engine

LABELS = {"stackgen.stack": "stackgen", "stackgen.user": "bob"}


class Daemon:
    """Answers as dockerd does, with or without project quotas, and holds the volumes that were made."""

    def __init__(self, *, quotas: bool, volumes: tuple[str, ...] = ()) -> None:
        self.quotas = quotas
        self.made: dict[str, dict[str, Any]] = {name: {} for name in volumes}

    def create(self, name: str, **options: Any) -> None:
        if options.get("driver_opts") and not self.quotas:
            raise APIError("400", explanation="create bob: quota size requested but no quota support")
        self.made[name] = options

    async def docker(self, call: str, volume: str, **options: Any) -> None:
        if call == "create_volume":
            self.create(volume, **options)
        elif volume not in self.made:
            raise NotFound("404")


def start(daemon: Daemon, monkeypatch: pytest.MonkeyPatch, *, admin: bool = False) -> SimpleNamespace:
    """A spawner whose server is about to start."""
    monkeypatch.setenv("VOLUME_PREFIX", "jupyterhub-user-")
    monkeypatch.setenv("SHARED_FOLDER", "course")

    async def nothing() -> None:
        return None

    own = "jupyterhub-user-bob"
    spawner = SimpleNamespace(
        prefix="stackgen", docker=daemon.docker, get_object=nothing, log=logging.getLogger(),
        user=SimpleNamespace(name="bob", admin=admin), notebook_dir="/home/sage/notebooks",
        volumes={own: "/home/sage/notebooks"}, read_only_volumes={"data": "/data"}, volume_binds={own: {}, "data": {}},
        extra_create_kwargs={"labels": {"stackgen.stack": "stackgen", "stackgen.user": "{raw_username}"}},
        template_namespace=lambda: {"raw_username": "bob"}, environment={"VOLUME_QUOTA": "1048576"},
    )  # fmt: skip
    asyncio.run(servers.before_start(spawner))
    return spawner


@pytest.mark.parametrize("quotas", [True, False])
def test_a_new_volume_has_the_quota_where_the_engine_takes_it(monkeypatch: pytest.MonkeyPatch, quotas: bool) -> None:
    """Where it does not, the volume is made all the same; the operator's own volumes are the engine's to make."""
    daemon = Daemon(quotas=quotas)
    start(daemon, monkeypatch)
    limited = {"driver_opts": {"size": "1048576"}} if quotas else {}
    assert daemon.made == {"jupyterhub-user-bob": {"labels": LABELS} | limited}


@pytest.mark.parametrize("quotas", [True, False])
def test_so_it_is_with_volumes_that_stackgen_makes_for_an_import(monkeypatch: pytest.MonkeyPatch, quotas: bool) -> None:
    daemon, engine = Daemon(quotas=quotas), Engine()
    monkeypatch.setitem(vars(engine), "client", SimpleNamespace(volumes=daemon))
    engine.create_volume("jupyterhub-user-bob", LABELS, 1048576)
    limit = {"size": "1048576"} if quotas else {}
    assert daemon.made == {"jupyterhub-user-bob": {"labels": LABELS, "driver_opts": limit}}


def test_the_shared_folder_is_mounted_while_there_is_one_and_the_operators_own_volumes_stay(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = "/home/sage/notebooks/course"
    daemon = Daemon(quotas=False, volumes=("stackgen-shared", "jupyterhub-user-bob"))
    spawner = start(daemon, monkeypatch)
    assert spawner.read_only_volumes == {"data": "/data", "stackgen-shared": path}
    assert spawner.volumes == {"jupyterhub-user-bob": "/home/sage/notebooks"}
    spawner = start(daemon, monkeypatch, admin=True)
    assert (spawner.volumes["stackgen-shared"], spawner.read_only_volumes) == (path, {"data": "/data"})
    del daemon.made["stackgen-shared"]
    asyncio.run(servers.before_start(spawner))
    assert "stackgen-shared" not in spawner.volumes | spawner.read_only_volumes


@given(st.from_regex(r"[1-9][0-9]{0,5}(\.[0-9]{1,2})?[KMGT]", fullmatch=True))
def test_the_hub_reads_a_quota_as_stackgen_does(setting: str) -> None:
    assert servers.quota(setting) == str(checks.memory_bytes(setting))
    assert servers.quota("") == ""
