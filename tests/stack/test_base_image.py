"""`stackgen base-image`: Debian without a registry."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from stackgen.base_image import HOST_BUNDLE, _certificates
from tests.conftest import docker, stackgen


@pytest.fixture
def image() -> Iterator[str]:
    name = f"t{os.getpid()}/base:test"
    yield name
    docker("image", "rm", "--force", name)


def test_the_base_is_built_from_a_mirror_and_trusts_what_this_machine_trusts(image: str, tmp_path: Path) -> None:
    """It has Debian's security archive, leaves no package caches behind, and knows this network's authorities."""
    done = stackgen("base-image", "--image", image, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"{image} is ready" in done.stderr

    sources = docker("run", "--rm", image, "cat", "/etc/apt/sources.list").splitlines()
    assert [line.split()[2] for line in sources] == ["trixie", "trixie-updates", "trixie-security"]
    bundle = tmp_path / "bundle.pem"
    bundle.write_text(docker("run", "--rm", image, "cat", "/etc/ssl/certs/ca-certificates.crt"))
    added = docker("run", "--rm", image, "sh", "-c", "cat /usr/local/share/ca-certificates/*.crt 2>/dev/null || true")
    (tmp_path / "added.pem").write_text(added)
    ours, theirs = set(_certificates(HOST_BUNDLE)), set(_certificates(bundle))
    assert set(_certificates(tmp_path / "added.pem")) <= ours & theirs
    assert len(theirs) > 100

    install = "apt-get update -q >/dev/null && apt-get install -qy tini >/dev/null"
    listed = docker("run", "--rm", image, "sh", "-c", f"{install} && ls /var/cache/apt /var/cache/apt/archives").split()
    assert not [name for name in listed if name.endswith((".deb", ".bin"))]


def test_an_image_that_is_there_is_left_as_it_is(image: str, tmp_path: Path) -> None:
    docker("tag", "debian:trixie-slim", image)
    before = docker("image", "inspect", "--format", "{{.Id}}", image)
    done = stackgen("base-image", "--image", image, cwd=tmp_path)
    assert done.returncode == 0
    assert "is there already; --force builds it anew" in done.stderr
    assert docker("image", "inspect", "--format", "{{.Id}}", image) == before


def test_a_mirror_that_does_not_answer_is_named(image: str, tmp_path: Path) -> None:
    """Nothing is imported then; what debootstrap said is shown."""
    done = stackgen("base-image", "--image", image, "--mirror", "http://127.0.0.1:9/debian", cwd=tmp_path)
    assert done.returncode == 1
    assert "error: debootstrap" in done.stderr
    assert "E: Failed getting release file http://127.0.0.1:9/debian" in done.stderr
    assert image not in docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}")
