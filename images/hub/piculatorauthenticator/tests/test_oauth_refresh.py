"""What a refresh does: who stays logged in, and whose access ends."""

import asyncio
from datetime import datetime
from typing import Any

import pytest
from account_service import PROFILE, Key, Service
from jupyterhub import orm
from oauthenticator.github import GitHubOAuthenticator
from piculatorauthenticator import OpenIDConnectAuthenticator, ResilientOAuth, end_access
from piculatorauthenticator import openid as openid_module
from piculatorauthenticator.resilient import _cannot_answer
from real_hub import Browser, Hub, LoopbackSpawner, tell, until
from tornado.httpclient import HTTPRequest, HTTPResponse
from tornado.httputil import HTTPHeaders


class Noting(OpenIDConnectAuthenticator):
    """Notes whose access ended."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.ended: list[str] = []

    async def access_ended(self, user: Any) -> None:
        self.ended.append(user.name)
        await super().access_ended(user)


def refreshing(story: Any, service: Service | None = None, **traits: Any) -> None:
    tell(story, Noting, service, issuer="{url}", **traits)


async def at_work(hub: Hub) -> tuple[Browser, str]:
    """Ada is logged in and has a server; her browser, and the token of the server."""
    browser = Browser(hub)
    assert (await browser.log_in()).code == 200
    await browser.get("/hub/spawn", follow=False)
    await until(lambda: hub.user().spawner.ready)
    return browser, hub.user().spawner.api_token


async def everything_ended(hub: Hub, browser: Browser, token: str) -> bool:
    """Whether the cookie and all tokens are void and, soon, the server is stopped and has no route."""
    await until(lambda: not hub.user().spawner.active)
    return (
        not await browser.is_logged_in()
        and (await hub.api(token, "/user")).code == 403
        and not any("/user/" in route for route in hub.app.proxy.routes)
    )


def test_what_changed_at_the_provider_changes_here() -> None:
    async def story(service: Service, hub: Hub) -> None:
        browser, _ = await at_work(hub)
        service.profile["groups"] = ["students", "chess"]
        hub.age()
        assert await browser.is_logged_in()
        assert {group.name for group in hub.user().groups} == {"students", "chess"}

    refreshing(story)


@pytest.mark.parametrize("how", ["no answer", "busy", "broken", "a page"])
def test_people_stay_logged_in_while_the_provider_is_down(how: str) -> None:
    async def story(service: Service, hub: Hub) -> None:
        browser, token = await at_work(hub)
        if how == "no answer":
            await service.stop()
        else:
            answer = {"busy": (429, ""), "broken": (502, "Bad Gateway"), "a page": (200, "<h1>Maintenance</h1>")}
            service.answers["/oauth/userinfo"] = answer[how]
        assert await hub.refresh() is True
        hub.age()
        assert await browser.is_logged_in()
        hub.age()
        assert await hub.report_activity(token) == 200
        assert not hub.authenticator.ended

    refreshing(story)


@pytest.mark.parametrize("by", ["the browser", "the server"])
def test_whoever_leaves_the_group_loses_everything(by: str) -> None:
    """Also somebody who only sits in JupyterLab: then it is the server's own report that finds out."""

    async def story(service: Service, hub: Hub) -> None:
        browser, token = await at_work(hub)
        mine = hub.user().new_api_token(note="for a script")
        service.profile["groups"] = []
        hub.age()
        if by == "the browser":
            assert not await browser.is_logged_in()
        else:
            assert await hub.report_activity(token) == 403
        assert hub.authenticator.ended == ["ada"]
        assert await everything_ended(hub, browser, token)
        assert (await hub.api(mine, "/user")).code == 403
        assert (await browser.log_in()).code == 403
        service.profile["groups"] = ["students"]
        assert (await browser.log_in()).code == 200

    refreshing(story)


def test_whoever_is_blocked_loses_everything() -> None:
    async def story(_: Service, hub: Hub) -> None:
        browser, token = await at_work(hub)
        hub.authenticator.blocked_users.add("ada")
        assert await hub.refresh() is False
        assert await everything_ended(hub, browser, token)

    refreshing(story)


@pytest.mark.parametrize("refresh_tokens", [True, False])
def test_an_account_that_is_gone_loses_everything(refresh_tokens: bool) -> None:
    async def story(service: Service, hub: Hub) -> None:
        browser, token = await at_work(hub)
        service.withdraw_tokens()
        assert await hub.refresh() is False
        assert hub.authenticator.ended == ["ada"]
        assert await everything_ended(hub, browser, token)

    refreshing(story, Service(refresh_tokens=refresh_tokens))


def test_an_account_that_new_tokens_are_given_for_but_no_profile_loses_everything() -> None:
    async def story(service: Service, hub: Hub) -> None:
        browser, token = await at_work(hub)
        service.answers["/oauth/userinfo"] = (403, '{"error": "access_denied"}')
        assert await hub.refresh() is False
        assert await everything_ended(hub, browser, token)

    refreshing(story)


@pytest.mark.parametrize("other", [{"sub": "4712"}, {"preferred_username": "emmy"}])
def test_tokens_that_have_become_another_persons_end_everything(other: dict[str, str]) -> None:
    async def story(service: Service, hub: Hub) -> None:
        browser, token = await at_work(hub)
        service.userinfo = other
        assert await hub.refresh() is False
        assert hub.authenticator.ended == ["ada"]
        assert await everything_ended(hub, browser, token)

    refreshing(story)


async def let_the_token_expire(hub: Hub) -> None:
    state = await hub.user().get_auth_state()
    state["token_response"]["expires_at"] = 1
    await hub.user().save_auth_state(state)


def test_a_token_that_has_merely_expired_means_a_new_login_and_nothing_else() -> None:
    """Until then nobody can tell whether the account is still there, so API tokens rest as well, the server's own too:
    it lets in whoever has it. But the server works on, and the culler sees that it does.
    """

    async def story(service: Service, hub: Hub) -> None:
        browser, token = await at_work(hub)
        mine = hub.user().new_api_token(note="for a script")
        service.withdraw_tokens()
        await let_the_token_expire(hub)
        hub.age()
        assert await hub.report_activity(token) == 200
        assert [(await hub.api(each, "/user")).code for each in (mine, token)] == [403, 403]
        assert not await browser.is_logged_in()
        assert not hub.authenticator.ended
        assert hub.user().spawner.ready
        assert (await browser.log_in()).code == 200
        assert [(await hub.api(each, "/user")).code for each in (mine, token)] == [200, 200]

    refreshing(story, Service(refresh_tokens=False))


def test_a_token_for_somebody_who_never_logged_in_works() -> None:
    """Only an admin can have made it, for what the provider knows nothing of."""

    async def story(_: Service, hub: Hub) -> None:
        hub.app.db.add(orm.User(name="robot"))
        hub.app.db.commit()
        token = hub.user("robot").new_api_token()
        assert (await hub.api(token, "/user")).code == 200

    refreshing(story)


@pytest.mark.parametrize("left", [None, {"password": "of another kind of login"}])
def test_whoever_is_logged_in_from_before_the_provider_was_set_up_logs_in_again(left: dict[str, str] | None) -> None:
    async def story(service: Service, hub: Hub) -> None:
        browser, token = await at_work(hub)
        await hub.user().save_auth_state(left)
        hub.age()
        assert not await browser.is_logged_in()
        assert await hub.report_activity(token) == 200
        assert not hub.authenticator.ended

    refreshing(story)


def test_a_token_that_has_expired_is_renewed() -> None:
    async def story(service: Service, hub: Hub) -> None:
        browser, _ = await at_work(hub)
        await let_the_token_expire(hub)
        for _ in range(2):  # the second time with what the first one brought
            service.forget()
            model = await hub.refresh()
            assert model["name"] == "ada"
            assert service.asked == ["/oauth/token", "/oauth/userinfo"]
            await let_the_token_expire(hub)
        assert await browser.is_logged_in()

    refreshing(story)


@pytest.mark.parametrize("lifetime", [3600, None])
def test_a_session_that_ended_at_the_provider_ends_here_but_lets_the_server_finish_its_work(
    lifetime: int | None,
) -> None:
    """Whether the account is gone or the session was just too old, nobody can tell."""

    async def story(service: Service, hub: Hub) -> None:
        browser, token = await at_work(hub)
        mine = hub.user().new_api_token(note="for a script")
        service.withdraw_tokens()
        if lifetime:
            await let_the_token_expire(hub)
        hub.age()
        assert await hub.report_activity(token) == 200
        assert not await browser.is_logged_in()
        assert (await hub.api(mine, "/user")).code == 403
        assert hub.user().spawner.ready
        assert not hub.authenticator.ended
        assert (await browser.log_in()).code == 200

    refreshing(story, Service(lifetime=lifetime))


def test_a_hub_that_the_provider_does_not_accept_any_more_takes_nothing_from_anybody() -> None:
    async def story(service: Service, hub: Hub) -> None:
        _, token = await at_work(hub)
        hub.authenticator.client_secret = "wrong"
        service.withdraw_tokens()
        assert await hub.refresh() is False
        assert await hub.report_activity(token) == 200
        assert not hub.authenticator.ended

    refreshing(story)


def test_the_id_token_of_a_refresh_is_checked_like_the_first() -> None:
    async def story(service: Service, hub: Hub) -> None:
        browser, token = await at_work(hub)
        await let_the_token_expire(hub)
        service.sign = Key("first").sign
        assert await hub.refresh() is False
        assert not hub.authenticator.ended
        service.sign = service.keys[0].sign
        await browser.log_in()
        await let_the_token_expire(hub)
        service.profile["sub"] = "4712"
        assert await hub.refresh() is False
        assert await everything_ended(hub, browser, token)

    refreshing(story)


def test_new_tokens_are_kept_even_if_nothing_else_works() -> None:
    async def story(service: Service, hub: Hub) -> None:
        await at_work(hub)
        await let_the_token_expire(hub)
        service.answers["/oauth/userinfo"] = (503, "")
        assert await hub.refresh() is True
        service.answers.clear()
        await let_the_token_expire(hub)  # so that the refresh token of that answer is needed
        assert (await hub.refresh())["name"] == "ada"

    refreshing(story)


def test_a_refresh_token_is_not_used_up_while_the_answer_could_not_be_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(service: Service, hub: Hub) -> None:
        await at_work(hub)
        await let_the_token_expire(hub)
        service.answers["/jwks"] = (503, "")
        assert await hub.refresh() is True
        service.answers.clear()
        assert (await hub.refresh())["name"] == "ada"

    monkeypatch.setattr(openid_module, "KEYS_LIFETIME", 0.0)
    refreshing(story)


def test_requests_in_parallel_use_a_refresh_token_once() -> None:
    """The provider of this test, as many, knows a refresh token only once."""

    async def story(service: Service, hub: Hub) -> None:
        browser, _ = await at_work(hub)
        await let_the_token_expire(hub)
        service.forget()
        hub.age()
        assert all(await asyncio.gather(*(browser.is_logged_in() for _ in range(8))))
        assert service.asked.count("/oauth/token") == 1

    refreshing(story)


def test_a_claim_that_userinfo_no_longer_has_does_not_come_back_from_an_old_id_token() -> None:
    """Many providers leave out the groups of somebody who is in none."""

    async def story(service: Service, hub: Hub) -> None:
        browser, token = await at_work(hub)
        service.userinfo = {"groups": None}
        assert await hub.refresh() is False
        assert await everything_ended(hub, browser, token)

    refreshing(story)


def test_without_userinfo_the_id_token_holds_until_the_access_token_expires() -> None:
    async def story(service: Service, hub: Hub) -> None:
        browser, token = await at_work(hub)
        service.profile["groups"] = []
        assert (await hub.refresh())["groups"] == ["students"]
        await let_the_token_expire(hub)
        assert await hub.refresh() is False
        assert await everything_ended(hub, browser, token)

    refreshing(story, Service(document={"userinfo_endpoint": None}))


def test_not_even_an_admin_can_start_a_server_for_somebody_who_lost_access() -> None:
    async def story(service: Service, hub: Hub) -> None:
        assert (await Browser(hub).log_in()).code == 200
        admin = orm.User(name="emmy", admin=True)
        hub.app.db.add(admin)
        hub.app.db.commit()
        admin.roles.append(orm.Role.find(hub.app.db, "admin"))
        token = hub.app.users[admin].new_api_token(roles=["admin"])
        service.profile["groups"] = []
        assert (await hub.api(token, "/users/ada/servers/", "POST")).code == 403
        assert not hub.user().spawner.active

    refreshing(story)


def test_a_server_that_is_being_started_is_stopped_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(_: Service, hub: Hub) -> None:
        begun, go_on, started = asyncio.Event(), asyncio.Event(), []
        start = LoopbackSpawner.start

        async def slowly(spawner: LoopbackSpawner) -> str:
            begun.set()
            await go_on.wait()
            started.append(spawner)
            return await start(spawner)

        monkeypatch.setattr(LoopbackSpawner, "start", slowly)
        browser = Browser(hub)
        await browser.log_in()
        spawning = asyncio.create_task(browser.get("/hub/spawn", follow=False))
        await begun.wait()
        await end_access(hub.user())
        go_on.set()
        await until(lambda: bool(started) and not hub.user().spawner.active)
        await spawning
        assert not any("/user/" in route for route in hub.app.proxy.routes)

    refreshing(story)


def test_no_token_survives_by_its_note() -> None:
    """`servers=False` lets a server keep its token; users can give theirs the same note."""

    async def story(_: Service, hub: Hub) -> None:
        browser = Browser(hub)
        await browser.log_in()
        user = hub.user()
        before = user.new_api_token(note="Server at /user/ada/")
        await browser.get("/hub/spawn", follow=False)
        await until(lambda: user.spawner.ready)
        after = user.new_api_token(note="Server at /user/ada/")
        await end_access(user, servers=False)
        assert [(await hub.api(token, "/user")).code for token in (before, after)] == [403, 403]
        assert (await hub.api(user.spawner.api_token, "/user")).code == 200
        assert not await browser.is_logged_in()

    refreshing(story)


def test_a_server_that_is_being_started_keeps_its_token_where_servers_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also after a time when the hub was away, and knows of an earlier start only."""

    async def story(_: Service, hub: Hub) -> None:
        begun, go_on = asyncio.Event(), asyncio.Event()

        async def slowly(*_: Any) -> None:
            begun.set()
            await go_on.wait()

        monkeypatch.setattr(hub.authenticator, "pre_spawn_start", slowly)
        browser = Browser(hub)
        await browser.log_in()
        user = hub.user()
        user.spawner.orm_spawner.started = datetime(2026, 1, 1)
        spawning = asyncio.create_task(browser.get("/hub/spawn", follow=False))
        await begun.wait()
        await end_access(user, servers=False)
        go_on.set()
        await until(lambda: user.spawner.ready)
        await spawning
        assert await hub.report_activity(user.spawner.api_token) == 200

    refreshing(story)


def test_no_token_survives_a_restart_of_the_hub_by_its_note() -> None:
    """Then the database alone tells which token is the server's."""

    async def story(_: Service, hub: Hub) -> None:
        _, token = await at_work(hub)
        user = hub.user()
        later = user.new_api_token(note="Server at /user/ada/")
        user.spawner.api_token = ""
        await end_access(user, servers=False)
        assert await hub.report_activity(token) == 200
        assert (await hub.api(later, "/user")).code == 403

    refreshing(story)


def test_an_answer_that_says_nothing_is_told_from_a_refusal() -> None:
    def says(code: int, **headers: str) -> bool:
        named = HTTPHeaders({name.replace("_", "-"): value for name, value in headers.items()})
        return not _cannot_answer(HTTPResponse(HTTPRequest("https://login.example.edu"), code, headers=named))

    assert says(200)
    assert says(401)
    assert says(403)
    assert says(403, X_RateLimit_Remaining="59")
    assert not says(403, X_RateLimit_Remaining="0")  # GitHub was asked too often
    assert not says(403, Retry_After="60")
    assert not says(429)
    assert not says(408)
    assert not says(502)


class RealGitHub(ResilientOAuth, GitHubOAuthenticator):
    """As the README shows it."""


def test_the_mixin_serves_other_providers_too() -> None:
    async def story(service: Service, hub: Hub) -> None:
        await Browser(hub).log_in()
        # GitHub's way to refuse a code
        service.answers["/oauth/token"] = (200, '{"error": "bad_verification_code", "error_description": "expired"}')
        page = await Browser(hub).log_in()
        assert page.code == 403
        assert "took too long or was used before" in page.body.decode()
        await service.stop()
        assert await hub.refresh() is True
        page = await Browser(hub).get("/hub/oauth_callback?code=x&state=y")
        assert page.code == 400

    tell(
        story,
        RealGitHub,
        Service(openid=False, profile={"id": 5, "login": "Ada", "email": PROFILE["email"]}, lifetime=None),
        manage_groups=False,
        allowed_groups=set(),
        allow_all=True,
        authorize_url="{url}/oauth/authorize",
        token_url="{url}/oauth/token",
        userdata_url="{url}/oauth/userinfo",
        github_api="{url}",
    )
