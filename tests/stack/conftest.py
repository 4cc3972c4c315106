"""Fixtures for the tests that need a real Docker Engine."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import docker

IMAGES = Path(__file__).parents[2] / "images"


@pytest.fixture(scope="session")
def nginx_image() -> Iterator[str]:
    """The nginx image under test: STACKGEN_TEST_NGINX_IMAGE, or one built from images/."""
    if image := os.environ.get("STACKGEN_TEST_NGINX_IMAGE"):
        yield image
        return
    image = f"t{os.getpid()}-nginx"
    docker("build", "--quiet", "--target", "nginx", "--tag", image, IMAGES)
    yield image
    docker("image", "rm", image)
