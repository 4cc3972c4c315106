"""Logging out of the hub, and at the provider."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from account_service import CLIENT_ID, Service
from piculatorauthenticator import OpenIDConnectAuthenticator
from real_hub import Browser, Hub, tell, until


def logging_out(story: Any, service: Service | None = None, **traits: Any) -> None:
    tell(story, OpenIDConnectAuthenticator, service, issuer="{url}", **traits)


def test_whoever_logs_out_is_logged_out_at_the_provider_too() -> None:
    async def story(service: Service, hub: Hub) -> None:
        browser = Browser(hub)
        await browser.log_in()
        id_token = (await hub.user().get_auth_state())["id_token"]
        page = await browser.get("/hub/logout", follow=False)
        address = urlsplit(page.headers["Location"])
        assert f"{address.scheme}://{address.netloc}{address.path}" == f"{service.url}/logout"
        assert parse_qs(address.query) == {
            "id_token_hint": [id_token],
            "client_id": [CLIENT_ID],
            "post_logout_redirect_uri": [f"{hub.url}/hub/login"],
        }
        assert not await browser.is_logged_in()

    logging_out(story)


@pytest.mark.parametrize("still_a_member", [True, False])
def test_other_browsers_are_logged_out_as_well_servers_go_on_and_scripts_rest_until_the_next_login(
    still_a_member: bool,
) -> None:
    """The provider ends its tokens with the session. That must not look like an account that is gone, so nothing is
    lost; but the provider cannot be asked any more, so a script's token is good for nothing until its owner has come
    back, which those who left the club do not.
    """

    async def story(service: Service, hub: Hub) -> None:
        here, there = Browser(hub), Browser(hub)
        await here.log_in()
        await there.log_in()
        await here.get("/hub/spawn", follow=False)
        await until(lambda: hub.user().spawner.ready)
        script, servers = hub.user().new_api_token(), hub.user().spawner.api_token
        await here.get("/hub/logout", follow=False)
        service.withdraw_tokens()
        if not still_a_member:
            service.profile["groups"] = []
        hub.age()
        assert not await there.is_logged_in()
        assert await hub.report_activity(servers) == 200
        assert hub.user().spawner.ready
        for token in (script, servers):
            assert (await hub.api(token, "/user")).code == 403
        assert (await hub.api(script, "/users/ada/server", "DELETE")).code == 403
        assert (await there.log_in()).code == (200 if still_a_member else 403)
        assert (await hub.api(script, "/user")).code == (200 if still_a_member else 403)

    logging_out(story)


def test_a_provider_that_is_down_does_not_prevent_a_logout() -> None:
    async def story(service: Service, hub: Hub) -> None:
        browser = Browser(hub)
        await browser.log_in()
        hub.authenticator.document, hub.authenticator.end_session_url = {}, ""  # as in a hub that was restarted
        await service.stop()
        page = await browser.get("/hub/logout")
        assert page.code == 200
        assert not await browser.is_logged_in()

    logging_out(story)


@pytest.mark.parametrize("elsewhere", ["", "https://www.example.edu/goodbye"])
def test_without_a_logout_page_of_the_provider_there_is_the_hubs_or_the_configured_one(elsewhere: str) -> None:
    async def story(_: Service, hub: Hub) -> None:
        browser = Browser(hub)
        await browser.log_in()
        page = await browser.get("/hub/logout", follow=False)
        assert page.headers["Location"] == (elsewhere or "/hub/login")
        assert not await browser.is_logged_in()

    logging_out(story, Service(document={"end_session_endpoint": None}), logout_redirect_url=elsewhere)


@pytest.mark.parametrize(("back", "sent"), [("", None), ("https://www.example.edu/", ["https://www.example.edu/"])])
def test_where_the_provider_sends_the_browser_can_be_configured(back: str, sent: list[str] | None) -> None:
    async def story(_: Service, hub: Hub) -> None:
        page = await Browser(hub).get("/hub/logout", follow=False)
        assert parse_qs(urlsplit(page.headers["Location"]).query).get("post_logout_redirect_uri") == sent

    logging_out(story, post_logout_redirect_uri=back)
