"""Fixtures for the tests that need a real Docker Engine."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from front import Front, running_front
from login_support import TOKEN_LIFETIME, Browse, OAuthBrowser, newcomers

from tests import logins
from tests.conftest import RunningStack, docker
from tests.providers import Authority, Oidc, Piculator
from tests.providers.oauth import OAuthProvider

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


@pytest.fixture(scope="module")
def shared_front(nginx_image: str) -> Iterator[Front]:
    """A lone nginx, which the tests of a module share."""
    with running_front(nginx_image) as front:
        yield front


@pytest.fixture
def front(shared_front: Front) -> Front:
    """The same without routes."""
    shared_front.clear()
    return shared_front


@pytest.fixture(scope="session")
def certbot_image() -> Iterator[str]:
    """The certbot image, built from images/."""
    image = f"t{os.getpid()}-certbot"
    docker("build", "--quiet", "--target", "certbot", "--tag", image, IMAGES)
    yield image
    docker("image", "rm", image)


@pytest.fixture(scope="module", params=["openid"])
def provider(
    request: pytest.FixtureRequest, stack: RunningStack, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OAuthProvider]:
    """Who the stack's login is: Piculator with OpenID Connect, unless a test asks for the bare kind or for another."""
    authority, addresses = Authority(tmp_path_factory.mktemp("authority")), logins.callback(stack)
    found: OAuthProvider
    if request.param == "oidc":
        found = Oidc(stack.name, authority, *addresses, token_lifetime=TOKEN_LIFETIME)
        settings = logins.oidc(found)
    else:
        lifetime = {"openid": 3600, "oauth": TOKEN_LIFETIME}[request.param]
        found = Piculator(stack.name, authority, *addresses, token_lifetime=lifetime, PICULATOR_KIND=request.param)
        settings = logins.piculator(found)
    drop_in = stack.directory / "hub/config.d/91-cache.py"
    drop_in.write_text('c.Spawner.args = ["--HubOAuth.cache_max_age=1"]\n')  # seconds; the default is five minutes
    try:
        with found, logins.login(stack, authority, **settings), newcomers(stack):
            yield found
    finally:
        drop_in.unlink()


@pytest.fixture
def piculator(provider: OAuthProvider) -> Piculator:
    """The provider, of which a test wants more than others can do."""
    assert isinstance(provider, Piculator)
    return provider


@pytest.fixture
def browse(stack: RunningStack, provider: OAuthProvider) -> Browse:
    """`browse(username)`: the browser of somebody who has an account at the provider, without any cookie."""

    def browse(username: str, name: str = "") -> OAuthBrowser:
        return OAuthBrowser(stack.front, provider, username, name)

    return browse
