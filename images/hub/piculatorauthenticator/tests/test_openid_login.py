"""Logging in at an OpenID Connect provider, and all that must not lead to a login."""

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from account_service import CLIENT_ID, CLIENT_SECRET, KEY, PROFILE, Key, Service
from piculatorauthenticator import Misconfigured, OpenIDConnectAuthenticator
from piculatorauthenticator import openid as openid_module
from real_hub import Browser, Hub, tell
from traitlets import TraitError


def openid(story: Any, service: Service | None = None, **traits: Any) -> None:
    """A story with a hub that knows the provider by its issuer."""
    tell(story, OpenIDConnectAuthenticator, service, issuer="{url}", **traits)


def test_a_student_logs_in_and_is_in_the_groups_of_the_provider() -> None:
    async def story(service: Service, hub: Hub) -> None:
        service.profile["groups"] = ["students", "chess"]
        browser = Browser(hub)
        assert (await browser.log_in()).code == 200
        assert await browser.is_logged_in()
        assert {group.name for group in hub.user().groups} == {"students", "chess"}
        assert not hub.user().admin

    openid(story)


def test_the_authorization_request_has_nonce_and_pkce_and_always_the_scope_openid() -> None:
    async def story(service: Service, hub: Hub) -> None:
        browser = Browser(hub)
        await browser.get("/hub/oauth_login", follow=False)
        page = await browser.get("/hub/oauth_login", follow=False)
        asked = parse_qs(urlsplit(page.headers["Location"]).query)
        assert asked["scope"] == ["openid profile"]
        assert asked["code_challenge_method"] == ["S256"]
        assert len(asked["nonce"][0]) == 43
        assert service.asked == ["/.well-known/openid-configuration"]  # read once

    openid(story, scope=["profile"])


def test_the_scope_groups_is_asked_for_where_it_is_offered() -> None:
    async def story(_: Service, hub: Hub) -> None:
        await Browser(hub).log_in()
        assert hub.authenticator.scope == ["openid", "profile", "email", "groups"]

    openid(story, Service(document={"scopes_supported": ["openid", "groups"]}))


def test_a_member_of_an_admin_group_is_an_admin_as_long_as_that_lasts() -> None:
    async def story(service: Service, hub: Hub) -> None:
        service.profile["groups"] = ["teachers"]
        await Browser(hub).log_in()
        assert hub.user().admin
        service.profile["groups"] = ["students"]
        await Browser(hub).log_in()
        assert not hub.user().admin

    openid(story, admin_groups={"teachers"})


@pytest.mark.parametrize("groups", [None, [], ["chess"], "chess", "", {"students": True}, [["students"]]])
def test_a_stranger_is_refused(groups: Any) -> None:
    """Known to the provider, but in no group that may log in, whatever its claim of groups looks like."""

    async def story(service: Service, hub: Hub) -> None:
        service.profile["groups"] = groups
        browser = Browser(hub)
        assert (await browser.log_in()).code == 403
        assert not await browser.is_logged_in()

    openid(story)


Fault = Callable[[Service], None]


def signed_by_another_key(service: Service) -> None:
    service.sign = Key(KEY.kid).sign


def not_signed(service: Service) -> None:
    service.sign = lambda claims: jwt.encode(claims, None, algorithm="none", headers={"kid": KEY.kid})


def signed_with_the_client_secret(service: Service) -> None:
    service.sign = lambda claims: jwt.encode(claims, CLIENT_SECRET, algorithm="HS256", headers={"kid": KEY.kid})


def without_an_id_token(service: Service) -> None:
    service.sign = lambda _: ""


def not_a_token(service: Service) -> None:
    service.sign = lambda _: "nonsense"


def claiming(**claims: Any) -> Fault:
    return lambda service: service.claims.update(claims)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (signed_by_another_key, "Signature verification failed"),
        (not_signed, "not signed in a way"),
        (signed_with_the_client_secret, "not signed in a way"),
        (without_an_id_token, "could not be verified"),
        (not_a_token, "could not be verified"),
        (claiming(exp=int(time.time()) - 300), "expired"),
        (claiming(aud="another client"), "Audience"),
        (claiming(iss="https://evil.example"), "issuer"),
        (claiming(nonce="of another login"), "another login"),
        (claiming(nonce=None), "another login"),
        (claiming(sub=None), "sub"),
        (lambda service: service.userinfo.update(sub="another person"), "somebody else"),
        (lambda service: service.userinfo.update(sub=None), "somebody else"),
    ],
)
def test_a_faulty_answer_is_no_login(fault: Fault, reason: str) -> None:
    async def story(service: Service, hub: Hub) -> None:
        fault(service)
        browser = Browser(hub)
        page = await browser.log_in()
        assert page.code == 403
        assert reason in page.body.decode()
        assert not await browser.is_logged_in()
        with pytest.raises(KeyError):
            hub.user()

    openid(story)


def test_the_provider_changes_its_key() -> None:
    async def story(service: Service, hub: Hub) -> None:
        assert (await Browser(hub).log_in()).code == 200
        new = Key("second")
        service.keys, service.sign = [new], new.sign
        assert (await Browser(hub).log_in()).code == 200
        service.forget()
        service.sign = Key("third").sign  # one that the provider does not have
        for _ in range(3):
            assert (await Browser(hub).log_in()).code == 403
        assert "/jwks" not in service.asked  # it was asked for a new key just now

    openid(story)


def test_a_key_that_the_provider_withdrew_is_not_trusted_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(service: Service, hub: Hub) -> None:
        assert (await Browser(hub).log_in()).code == 200
        service.keys = [Key("second")]
        assert (await Browser(hub).log_in()).code == 403

    monkeypatch.setattr(openid_module, "KEYS_LIFETIME", 0.0)
    openid(story)


def test_the_hub_starts_while_the_provider_is_down_and_logins_work_as_soon_as_it_is_back() -> None:
    async def story(service: Service, hub: Hub) -> None:
        browser = Browser(hub)
        page = await browser.log_in()
        assert page.code == 503
        assert "127.0.0.1 does not answer at the moment" in page.body.decode()
        await service.start()
        assert (await browser.log_in()).code == 200

    tell(story, OpenIDConnectAuthenticator, up=False, issuer="{url}")


def test_no_browser_is_sent_to_a_provider_that_went_down_after_the_first_login(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was learned from the provider once does not tell that it is up."""

    async def story(service: Service, hub: Hub) -> None:
        assert (await Browser(hub).log_in()).code == 200
        service.answers["/.well-known/openid-configuration"] = (503, "down")
        page = await Browser(hub).get("/hub/oauth_login", follow=False)
        assert page.code == 503
        assert "does not answer at the moment" in page.body.decode()
        service.answers.clear()
        assert (await Browser(hub).log_in()).code == 200

    monkeypatch.setattr(openid_module, "REACHED_LIFETIME", 0.0)
    openid(story)


@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/oauth/token", "/jwks", "/oauth/userinfo"])
@pytest.mark.parametrize("answer", [(503, "<h1>Out of order</h1>"), (429, "too often"), (200, "<h1>Maintenance</h1>")])
def test_a_provider_that_cannot_answer_is_told_from_one_that_refuses(path: str, answer: tuple[int, str]) -> None:
    async def story(service: Service, hub: Hub) -> None:
        service.answers[path] = answer
        browser = Browser(hub)
        page = await browser.log_in()
        discovery_is_a_page = path.startswith("/.well-known") and answer[0] == 200
        assert page.code == (500 if discovery_is_a_page else 503)
        service.answers.clear()
        assert (await browser.log_in()).code == 200

    openid(story)


def test_the_issuer_must_be_the_one_that_is_configured() -> None:
    async def story(service: Service, hub: Hub) -> None:
        service.document["issuer"] = "https://evil.example"
        page = await Browser(hub).log_in()
        assert page.code == 500
        assert "but this hub is set up for" in page.body.decode()
        service.document["issuer"] = service.url + "/"
        assert "slash at the end" in (await Browser(hub).log_in()).body.decode()

    openid(story)


def test_only_https_is_good_enough() -> None:
    with pytest.raises(TraitError, match="issuer must be an https address"):
        OpenIDConnectAuthenticator(issuer="http://login.example.edu")
    authenticator = OpenIDConnectAuthenticator(issuer="https://login.example.edu")
    endpoints = dict.fromkeys(["authorization_endpoint", "token_endpoint", "jwks_uri"], "https://login.example.edu/x")
    with pytest.raises(Misconfigured, match="userinfo_endpoint that is not https"):
        authenticator._learned_from({**endpoints, "userinfo_endpoint": "http://login.example.edu/x"})
    with pytest.raises(Misconfigured, match="does not tell its jwks_uri"):
        authenticator._learned_from({**endpoints, "jwks_uri": None})


def test_an_endpoint_that_is_configured_wins_over_discovery() -> None:
    async def story(service: Service, hub: Hub) -> None:
        hub.authenticator.userdata_url = f"{service.url}/mine"
        service.answers["/mine"] = (200, '{"sub": "4711", "preferred_username": "emmy", "groups": ["students"]}')
        await Browser(hub).log_in()
        assert hub.user("emmy")
        assert "/oauth/userinfo" not in service.asked

    openid(story)


def test_a_provider_without_userinfo_is_one_whose_id_token_says_all() -> None:
    async def story(service: Service, hub: Hub) -> None:
        assert (await Browser(hub).log_in()).code == 200
        assert "/oauth/userinfo" not in service.asked
        assert hub.user().groups

    openid(story, Service(document={"userinfo_endpoint": None}))


def test_claims_that_only_the_id_token_has_count() -> None:
    async def story(service: Service, hub: Hub) -> None:
        service.userinfo = {"groups": None}
        assert (await Browser(hub).log_in()).code == 200

    openid(story)


@pytest.mark.parametrize("methods", [None, ["client_secret_basic"], ["client_secret_post"]])
def test_the_hub_says_who_it_is_as_the_provider_announces(methods: list[str] | None) -> None:
    async def story(_: Service, hub: Hub) -> None:
        assert (await Browser(hub).log_in()).code == 200
        assert hub.authenticator.basic_auth == (methods != ["client_secret_post"])

    openid(story, Service(document={"token_endpoint_auth_methods_supported": methods}))


def test_a_hub_with_a_wrong_secret_tells_so() -> None:
    async def story(_: Service, hub: Hub) -> None:
        hub.authenticator.client_secret = "wrong"
        page = await Browser(hub).log_in()
        assert page.code == 403
        assert "does not accept this hub (invalid_client)" in page.body.decode()

    openid(story)


def test_a_code_serves_once() -> None:
    async def story(_: Service, hub: Hub) -> None:
        first = Browser(hub)
        await first.log_in()
        used = next(url for url in first.visited if "/hub/oauth_callback" in url)
        assert (await Browser(hub).get(used)).code == 400  # there is no state cookie in another browser
        second = Browser(hub)
        state = parse_qs(urlsplit((await second.get("/hub/oauth_login", follow=False)).headers["Location"]).query)
        code = parse_qs(urlsplit(used).query)["code"][0]
        page = await second.get(f"/hub/oauth_callback?code={code}&state={state['state'][0]}")
        assert page.code == 403
        assert "took too long or was used before" in page.body.decode()

    openid(story)


def test_a_callback_that_no_login_here_began_is_refused() -> None:
    async def story(_: Service, hub: Hub) -> None:
        browser = Browser(hub)
        await browser.get("/hub/oauth_login", follow=False)
        victim = Browser(hub)
        await victim.log_in()
        foreign = next(url for url in victim.visited if "/hub/oauth_callback" in url)
        assert (await browser.get(foreign)).code == 400

    openid(story)


def test_a_missing_user_name_is_told_without_telling_what_else_is_known(caplog: pytest.LogCaptureFixture) -> None:
    async def story(service: Service, hub: Hub) -> None:
        page = await Browser(hub).log_in()
        assert page.code == 403
        assert "did not tell your user name" in page.body.decode()
        assert "<aud, email, exp, groups, iat, iss, nonce, sub>" in caplog.text
        for secret in (PROFILE["email"], "4711", *service.secrets):
            assert secret not in caplog.text

    openid(story, Service(profile={**PROFILE, "preferred_username": None}))


def test_no_token_and_no_code_gets_into_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """Not even by way of a provider that repeats in its error pages what was sent."""

    async def story(service: Service, hub: Hub) -> None:
        browser = Browser(hub)
        await browser.log_in()
        service.withdraw_tokens()
        await hub.refresh()
        await browser.log_in()
        await browser.get("/hub/logout")
        service.answers["/oauth/token"] = (200, '{"refresh_token": "a-token-of-an-odd-answer"}')
        assert (await browser.log_in()).code == 403
        service.secrets.add("a-token-of-an-odd-answer")
        service.answers["/oauth/token"] = (500, CLIENT_SECRET)
        assert (await browser.log_in()).code == 503
        assert "POST" in caplog.text
        for secret in service.secrets:
            assert secret not in caplog.text

    openid(story)


def test_the_subject_is_who_somebody_is_whatever_their_name() -> None:
    authenticator = OpenIDConnectAuthenticator(issuer="https://login.example.edu", client_id=CLIENT_ID)
    assert authenticator.subject({"oauth_user": {"sub": "4711", "id": 5}}) == "4711"
    assert authenticator.subject({"id": 5}) == "5"
    assert authenticator.subject({"name": "ada"}) is None
