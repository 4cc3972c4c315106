"""Logging in at Piculator, with OpenID Connect and without."""

import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from account_service import Service
from piculatorauthenticator import PiculatorOAuthenticator
from piculatorauthenticator import openid as openid_module
from piculatorauthenticator import piculator as piculator_module
from real_hub import Browser, Hub, tell
from traitlets import TraitError

BARE_PROFILE = {"id": 5, "username": "Ada", "groups": ["students"]}
DISCOVERY = "/.well-known/openid-configuration"


def bare() -> Service:
    """A Piculator with OAuth 2.0 only."""
    return Service(openid=False, profile=dict(BARE_PROFILE))


def piculator(story: Any, service: Service | None = None, **traits: Any) -> None:
    tell(story, PiculatorOAuthenticator, service, **{"piculator_url": "{url}", **traits})


async def asked_for(browser: Browser) -> dict[str, list[str]]:
    """The parameters of an authorization request."""
    page = await browser.get("/hub/oauth_login", follow=False)
    return parse_qs(urlsplit(page.headers["Location"]).query)


def test_with_openid_connect() -> None:
    async def story(service: Service, hub: Hub) -> None:
        browser = Browser(hub)
        assert (await asked_for(browser))["scope"] == ["openid profile email"]
        assert (await browser.log_in()).code == 200
        assert hub.user().groups
        assert "/jwks" in service.asked

    piculator(story)


@pytest.mark.parametrize("page", [None, (200, "<h1>Piculator</h1>")])
def test_with_oauth_only(page: tuple[int, str] | None) -> None:
    """Where discovery finds nothing, or the page that a careless service shows for every address."""

    async def story(service: Service, hub: Hub) -> None:
        if page:
            service.answers[DISCOVERY] = page
        browser = Browser(hub)
        asked = await asked_for(browser)
        assert asked["scope"] == ["profile"]
        assert "code_challenge" in asked
        assert "nonce" not in asked
        assert (await browser.log_in()).code == 200
        assert {group.name for group in hub.user().groups} == {"students"}
        assert service.asked.count(DISCOVERY) == 1
        assert (await hub.refresh())["name"] == "ada"
        state = await hub.user().get_auth_state()
        assert hub.authenticator.subject(state) == "5"

    piculator(story, bare())


def test_a_bare_piculator_that_went_down_is_not_sent_any_browser(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(service: Service, hub: Hub) -> None:
        assert (await Browser(hub).log_in()).code == 200
        service.answers["/"] = (502, "down")
        assert (await Browser(hub).get("/hub/oauth_login", follow=False)).code == 503

    monkeypatch.setattr(openid_module, "REACHED_LIFETIME", 0.0)
    piculator(story, bare())


@pytest.mark.parametrize("answer", [(503, "down"), (429, "too often"), (403, "no"), (302, ""), (200, "[]")])
def test_a_piculator_that_cannot_say_is_not_taken_for_one_without_openid_connect(answer: tuple[int, str]) -> None:
    async def story(service: Service, hub: Hub) -> None:
        service.answers[DISCOVERY] = answer
        browser = Browser(hub)
        page = await browser.log_in()
        assert page.code == (503 if answer[0] in (503, 429) else 500)
        assert not any("/oauth/" in path for path in service.asked)
        service.answers.clear()
        assert (await browser.log_in()).code == 200
        assert hub.authenticator.openid

    piculator(story)


def test_a_piculator_that_is_down() -> None:
    async def story(service: Service, hub: Hub) -> None:
        page = await Browser(hub).log_in()
        assert page.code == 503
        assert "Piculator does not answer at the moment" in page.body.decode()
        await service.start()
        assert (await Browser(hub).log_in()).code == 200

    tell(story, PiculatorOAuthenticator, up=False, piculator_url="{url}")


def test_openid_connect_is_used_from_when_piculator_offers_it_and_never_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def story(service: Service, hub: Hub) -> None:
        browser = Browser(hub)
        await browser.log_in()
        service.openid = True
        service.profile = {**BARE_PROFILE, "sub": "a4f1", "preferred_username": "ada"}
        assert (await hub.refresh())["name"] == "ada"  # the same person, though with a subject of another kind
        assert (await asked_for(browser))["scope"] == ["openid profile email"]
        assert (await browser.log_in()).code == 200
        service.openid = False
        assert (await browser.log_in()).code == 403  # for want of an id_token

    monkeypatch.setattr(piculator_module, "BARE_LIFETIME", 0.0)
    piculator(story, bare())


def test_addresses_that_are_configured_are_not_looked_for() -> None:
    async def story(service: Service, hub: Hub) -> None:
        assert (await Browser(hub).log_in()).code == 200
        assert DISCOVERY not in service.asked

    piculator(
        story,
        bare(),
        piculator_url="",
        authorize_url="{url}/oauth/authorize",
        token_url="{url}/oauth/token",
        userdata_url="{url}/oauth/userinfo",
    )


def test_one_address_that_is_configured_wins_over_what_is_found() -> None:
    async def story(service: Service, hub: Hub) -> None:
        service.answers["/profile"] = (200, '{"id": 6, "username": "emmy", "groups": ["students"]}')
        assert (await Browser(hub).log_in()).code == 200
        assert hub.user("emmy")

    piculator(story, bare(), userdata_url="{url}/profile")


def test_other_names_of_claims_and_other_scopes() -> None:
    async def story(_: Service, hub: Hub) -> None:
        browser = Browser(hub)
        assert (await asked_for(browser))["scope"] == ["profile clubs"]
        assert (await browser.log_in()).code == 200
        assert hub.user("ada5").admin

    piculator(
        story,
        Service(openid=False, profile={"id": 5, "nick": "Ada5", "clubs": ["students", "board"]}),
        scope=["profile", "clubs"],
        username_claim="nick",
        groups_claim="clubs",
        admin_groups={"board"},
    )


@pytest.mark.parametrize("elsewhere", ["", "https://piculator.example.edu/logout"])
def test_logout_without_openid_connect(elsewhere: str) -> None:
    async def story(_: Service, hub: Hub) -> None:
        browser = Browser(hub)
        await browser.log_in()
        page = await browser.get("/hub/logout", follow=False)
        assert page.headers["Location"] == (elsewhere or "/hub/login")
        assert not await browser.is_logged_in()

    piculator(story, bare(), logout_redirect_url=elsewhere)


def test_a_logout_page_that_brings_the_browser_back_can_be_configured_without_openid_connect() -> None:
    async def story(_: Service, hub: Hub) -> None:
        browser = Browser(hub)
        await browser.log_in()
        address = urlsplit((await browser.get("/hub/logout", follow=False)).headers["Location"])
        assert address.path == "/goodbye"
        assert parse_qs(address.query)["post_logout_redirect_uri"] == [f"{hub.url}/hub/login"]
        assert not await browser.is_logged_in()

    piculator(story, bare(), end_session_url="{url}/goodbye")


def test_a_hub_that_lets_nobody_in_says_so_at_its_start(caplog: pytest.LogCaptureFixture) -> None:
    async def story(_: Service, hub: Hub) -> None:
        hub.authenticator.check_allow_config()
        assert "Nobody can log in" in caplog.text

    piculator(story, allowed_groups=set())


def test_piculators_address_is_an_https_address(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TraitError, match="piculator_url must be an https address"):
        PiculatorOAuthenticator(piculator_url="http://piculator.example.edu")
    monkeypatch.setenv("PICULATOR_URL", "https://piculator.example.edu")
    assert PiculatorOAuthenticator().issuer == "https://piculator.example.edu"
    assert PiculatorOAuthenticator().login_service == "Piculator"


def test_a_hub_without_any_address_says_so() -> None:
    async def story(_: Service, hub: Hub) -> None:
        page = await Browser(hub).log_in()
        assert page.code == 500
        assert "is not told the address of the provider" in page.body.decode()

    piculator(story, piculator_url="")


def test_jupyterhub_finds_the_class_by_the_name_piculator() -> None:
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    name = project["entry-points"]["jupyterhub.authenticators"]["piculator"]
    assert name == f"{PiculatorOAuthenticator.__module__.split('.')[0]}:{PiculatorOAuthenticator.__name__}"
