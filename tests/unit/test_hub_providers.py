"""Each login at a provider, with the configuration that stackgen gives it: who is who, and who is refused."""

import asyncio
import json
import sys
import time
from io import BytesIO
from typing import Any

import jwt
import pytest
from hub_package import database
from sqlalchemy.orm import Session
from tornado import web
from tornado.httpclient import HTTPRequest, HTTPResponse
from traitlets import import_item
from traitlets.config import Config
from unit_support import LOGGED_IN, ROOT, settings

from stackgen.logins import LOGINS
from stackgen.settings_table import BY_KEY

sys.path.append(str(ROOT / "images/hub/piculatorauthenticator/tests"))

from account_service import KEY, Service
from jupyterhub import orm
from ldapauthenticator import LDAPAuthenticator
from piculatorauthenticator import piculator as piculator_module
from real_hub import Browser, Hub, tell
from stackgen_hub import people
from stackgen_hub.logins import configure_login
from stackgen_hub.providers import AzureAdAuthenticator, PiculatorAuthenticator


@pytest.mark.parametrize("still", [{}, {"id": 5, "preferred_username": "ada.l"}])
def test_a_piculator_that_begins_to_offer_openid_connect_locks_nobody_out(
    still: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its subjects are others then: people are known by the id, if it still gives that, or else by their names."""

    async def story(service: Service, hub: Hub) -> None:
        assert (await Browser(hub).log_in()).code == 200
        service.openid = True
        service.profile = {"sub": "a4f1", "preferred_username": "ada", "groups": ["students"], **still}
        assert (await Browser(hub).log_in()).code == 200
        service.profile |= {"preferred_username": "countess", "id": None}
        assert (await Browser(hub).log_in()).code == 200
        assert [user.name for user in hub.app.db.query(orm.User)] == ["ada"]
        service.profile |= {"sub": "b0b0", "preferred_username": "ada"}
        page = await Browser(hub).log_in()
        assert page.code == 403
        assert "The user name ada belongs to somebody else here" in page.body.decode()

    monkeypatch.setattr(piculator_module, "BARE_LIFETIME", 0.0)
    bare = Service(openid=False, profile={"id": 5, "username": "Ada", "groups": ["students"]})
    tell(story, PiculatorAuthenticator, bare, piculator_url="{url}", volume_prefix="home-")


# --- Whom the provider's word bars


class Answers:
    """Stands in for the HTTP client: the provider's answers by address, and 404 for all others."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers = answers

    async def fetch(self, request: HTTPRequest, **_: Any) -> HTTPResponse:
        found = self.answers.get(request.url)
        code = 404 if found is None else 200 if found else 204
        return HTTPResponse(request, code, buffer=BytesIO(json.dumps(found).encode() if found else b""))


def authenticator(db: Session, auth: str, **stored: str) -> Any:
    """The class of a login, configured as in a stack."""
    chosen, config = settings(**{"AUTH": auth} | LOGGED_IN[auth] | stored), Config()
    configure_login(config, {key: chosen[key] for key in BY_KEY} | {"AUTHENTICATOR_CLASS": ""})
    return import_item(LOGINS[auth].authenticator)(db=db, config=config)


def come(login: Any, answers: dict[str, Any], **claims: Any) -> str | None:
    """Come back from a provider that answers this: the name of the user, or None for who is refused."""
    id_token = jwt.encode({"exp": time.time() + 3600, **claims}, "k" * 32, "HS256")
    tokens = {"access_token": "A", "token_type": "Bearer", "scope": "", "id_token": id_token}
    login.http_client = Answers(answers)
    login.authenticate = lambda *_: login._token_to_auth_model(tokens)
    try:
        model = asyncio.run(login.get_authenticated_user(None, {}))
    except web.HTTPError as refused:
        assert refused.status_code == 403
        return None
    return model and model["name"]


GITHUB, GITLAB = "https://api.github.com", "https://gitlab.example.edu/api/v4"
GOOGLE, CILOGON = "https://www.googleapis.com/oauth2/v1/userinfo", "https://cilogon.org/oauth2/userinfo"
TENANT = LOGGED_IN["azuread"]["AZUREAD_TENANT"]
AT_GITHUB = {
    f"{GITHUB}/user": {"id": 1, "login": "Ada", "email": "ada@example.edu"},
    f"{GITHUB}/orgs/our-school/members/Ada": {},
}
AT_GITLAB = {
    f"{GITLAB}/user": {"id": 5, "username": "ada"},
    f"{GITLAB}/version": {"version": "17.1.0"},
    f"{GITLAB}/groups/maths%2Fteachers/members/all/5": {"id": 5},
}
AT_GOOGLE = {"id": "1", "email": "ada@example.edu", "verified_email": True, "hd": "example.edu"}
AT_CILOGON = {"sub": "7", "eppn": "ada@example.edu", "idp": "https://idp.example.edu/shibboleth"}
AT_MICROSOFT = {"oid": "9", "upn": "ada@example.edu", "tid": TENANT, "roles": ["staff"]}
BY_GROUP = {"ALLOW_ALL": "false", "ALLOWED_GROUPS": "staff"}


@pytest.mark.parametrize(
    ("auth", "stored", "answers", "claims", "otherwise", "outright"),
    [
        ("github", {}, AT_GITHUB, {}, {f"{GITHUB}/orgs/our-school/members/Ada": None}, False),
        ("gitlab", {}, AT_GITLAB, {}, {f"{GITLAB}/groups/maths%2Fteachers/members/all/5": None}, False),
        ("google", {}, {GOOGLE: AT_GOOGLE}, {}, {GOOGLE: AT_GOOGLE | {"hd": "elsewhere.edu"}}, True),
        ("google", {}, {GOOGLE: AT_GOOGLE}, {}, {GOOGLE: AT_GOOGLE | {"verified_email": False}}, True),
        ("cilogon", {}, {CILOGON: AT_CILOGON}, {}, {CILOGON: AT_CILOGON | {"idp": "urn:mace:elsewhere.edu"}}, True),
        ("azuread", {}, {}, AT_MICROSOFT, {"tid": "1111aaaa-11bb-cccc-dd22-eeeeee333333"}, True),
        ("azuread", BY_GROUP, {}, AT_MICROSOFT, {"roles": ["students"]}, False),
    ],
    ids=["organization", "group", "hosted domain", "verified address", "university", "tenant", "role"],
)
def test_the_provider_s_word_decides_and_the_lists_only_where_it_refuses_nobody_outright(
    auth: str,
    stored: dict[str, str],
    answers: dict[str, Any],
    claims: dict[str, Any],
    otherwise: dict[str, Any],
    outright: bool,
) -> None:
    with database() as db:
        login = authenticator(db, auth, **stored)
        name = come(login, answers, **claims)
        assert name in ("ada", "ada@example.edu")
        if answers:
            answers = answers | otherwise
        else:
            claims = claims | otherwise
        assert come(login, answers, **claims) is None
        login.admin_users = {name}
        assert come(login, answers, **claims) == (None if outright else name)
        login.admin_users, people.person(db, name).rule = set(), people.ALLOW
        assert come(login, answers, **claims) == (None if outright else name)


def test_github_is_asked_about_the_login_there_and_not_about_the_user_here() -> None:
    """Else an alias for a member's name would let in somebody who is none."""
    with database() as db:
        people.set_alias(db, "github", "ada", "countess")
        login = authenticator(db, "github")
        assert come(login, AT_GITHUB) == "countess"
        of_another = f"{GITHUB}/orgs/our-school/members/countess"
        assert come(login, {f"{GITHUB}/user": AT_GITHUB[f"{GITHUB}/user"], of_another: {}}) is None


@pytest.mark.parametrize("auth", ["oidc", "piculator"])
def test_an_e_mail_address_is_a_user_s_name_only_if_the_provider_says_that_it_was_verified(auth: str) -> None:
    with database() as db:
        login = authenticator(db, auth, USERNAME_CLAIM="email")
        info = {"sub": "1", "email": "Ada@example.edu"}
        for verified in (True, "true"):
            assert login.user_info_to_username(info | {"email_verified": verified}) == "ada@example.edu"
        for doubt in ({}, {"email_verified": False}, {"email_verified": "false"}, {"email_verified": None}):
            with pytest.raises(web.HTTPError, match=r"Ada@example\.edu was verified as your address") as refused:
                login.user_info_to_username(info | doubt)
            assert refused.value.status_code == 403
        login = authenticator(db, auth, USERNAME_CLAIM="nickname")
        assert login.user_info_to_username(info | {"nickname": "countess"}) == "countess"


@pytest.mark.parametrize("refresh_tokens", [True, False])
def test_what_microsoft_said_holds_until_its_token_expires(refresh_tokens: bool) -> None:
    """Nobody is asked before. Then a refresh token brings what holds now; without one people must log in again."""

    async def story(service: Service, hub: Hub) -> None:
        browser = Browser(hub)
        assert (await browser.log_in()).code == 200
        service.profile["groups"] = ["students", "chess"]
        assert (await hub.refresh())["groups"] == ["students"]
        state = await hub.user().get_auth_state()
        state["token_response"]["id_token"] = KEY.sign(state["user"] | {"exp": int(time.time()) - 1})
        await hub.user().save_auth_state(state)
        refreshed = await hub.refresh()
        assert (refreshed and set(refreshed["groups"])) == ({"students", "chess"} if refresh_tokens else False)
        hub.age()
        assert await browser.is_logged_in() == refresh_tokens

    profile = {"oid": "9", "upn": "ada", "tid": TENANT, "groups": ["students"]}
    urls = {"authorize_url": "{url}/oauth/authorize", "token_url": "{url}/oauth/token"}
    service = Service(profile=profile, refresh_tokens=refresh_tokens)
    tell(story, AzureAdAuthenticator, service, **urls, tenant_id=TENANT, username_claim="upn", volume_prefix="home-")


def test_in_a_directory_too_a_user_that_somebody_has_been_stays_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    async def authenticate(_: Any, __: Any, data: dict[str, str]) -> dict[str, Any]:
        return {"name": data["username"], "auth_state": {"ldap_groups": login.allowed_groups, "user_attributes": {}}}

    def log_in(username: str) -> str:
        return asyncio.run(login.get_authenticated_user(None, {"username": username}))["name"]

    monkeypatch.setattr(LDAPAuthenticator, "authenticate", authenticate)
    with database() as db:
        login = authenticator(db, "ldap")
        people.set_alias(db, "ldap", "cleo.k", "cleo")
        assert log_in("Cleo.K") == "cleo"
        assert log_in("bob") == "bob"
        people.remove_alias(db, "ldap", "cleo.k")
        assert log_in("cleo.k") == "cleo.k"
        with pytest.raises(web.HTTPError, match="belongs to somebody else") as refused:
            log_in("cleo")
        assert refused.value.status_code == 403
        with pytest.raises(people.Taken, match="has logged in as bob already"):
            people.set_alias(db, "ldap", "x", "bob")
        with pytest.raises(web.HTTPError, match="the user name"):
            log_in("a b")
