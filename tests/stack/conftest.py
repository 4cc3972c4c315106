"""Fixtures for the tests that need a real Docker Engine."""

import os
import subprocess
from pathlib import Path

import pytest

IMAGES = Path(__file__).parents[2] / "images"


@pytest.fixture(scope="session")
def nginx_image() -> str:
    """The nginx image under test: STACKGEN_TEST_NGINX_IMAGE, or one built from images/."""
    if image := os.environ.get("STACKGEN_TEST_NGINX_IMAGE"):
        return image
    image = "stackgen-test-nginx"
    subprocess.run(["docker", "build", "--quiet", "--target", "nginx", "--tag", image, str(IMAGES)], check=True)
    return image
