"""The identity providers of the tests do refuse what they should: only then do the hub's refusals mean something."""

import base64
import hashlib
import os
import re
import secrets
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

import jwt
import ldap3
import pytest
import requests
from ldap3.core.exceptions import LDAPConfidentialityRequiredResult, LDAPInvalidCredentialsResult
from login_support import ByAddress

from tests.conftest import docker
from tests.providers import Authority, Ldap, OAuthProvider, Oidc, Piculator

STACK = f"p{os.getpid()}"
CALLBACK = "https://localhost:8443/hub/oauth_callback"
AFTER_LOGOUT = "https://localhost:8443/hub/login"
SCOPE = "openid profile email groups"
USUAL = {
    f"{name}_endpoint": f"https://piculator.test{path}"
    for name, path in {
        "authorization": "/oauth/authorize",
        "token": "/oauth/token",
        "userinfo": "/oauth/userinfo",
        "revocation": "/oauth/revoke",
    }.items()
}
DETECTED_AS = {
    "forged": jwt.InvalidSignatureError,
    "unsigned": jwt.InvalidAlgorithmError,
    "expired": jwt.ExpiredSignatureError,
    "issuer": jwt.InvalidIssuerError,
    "audience": jwt.InvalidAudienceError,
}


@contextmanager
def network(stack: str) -> Iterator[None]:
    """The users' network of a stack that has nothing else."""
    docker("network", "create", f"{stack}-users")
    try:
        yield
    finally:
        docker("network", "rm", f"{stack}-users")


@pytest.fixture(scope="module")
def stack() -> Iterator[str]:
    with network(STACK):
        yield STACK


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def oidc(stack: str, authority: Authority) -> Iterator[Oidc]:
    with Oidc(stack, authority, CALLBACK, AFTER_LOGOUT) as provider:
        yield provider


@pytest.fixture(scope="module")
def piculator(stack: str, authority: Authority) -> Iterator[Piculator]:
    with Piculator(stack, authority, CALLBACK, AFTER_LOGOUT, PICULATOR_KIND="openid") as provider:
        yield provider


@pytest.fixture(scope="module")
def ldap(stack: str, authority: Authority) -> Iterator[Ldap]:
    with Ldap(stack, authority) as provider:
        yield provider


@pytest.fixture(params=["oidc", "piculator"])
def provider(request: pytest.FixtureRequest) -> OAuthProvider:
    found = request.getfixturevalue(request.param)
    assert isinstance(found, OAuthProvider)
    return found


class Visitor:
    """A browser, and the client that the browser comes back to."""

    def __init__(self, provider: OAuthProvider) -> None:
        self.provider = provider
        self.session = requests.Session()
        self.session.verify = str(provider.authority.pem)
        self.session.trust_env = False
        self.session.headers["Host"] = provider.host
        self.session.mount(provider.url, ByAddress(provider))
        discovery = self.session.get(f"{provider.url}/.well-known/openid-configuration")
        self.endpoints = discovery.json() if discovery.ok else USUAL
        self.verifier = secrets.token_urlsafe(48)
        self.nonce = secrets.token_urlsafe()

    def visit(self, method: str, url: str, **options: Any) -> requests.Response:
        """Follow redirects up to a page of the provider, or up to the first that leads away from it."""
        answer = self.session.request(method, url, allow_redirects=False, **options)
        while answer.is_redirect:
            onward = urljoin(answer.url, answer.headers["Location"])
            if urlsplit(onward).hostname != self.provider.host:
                break
            answer = self.session.get(onward, allow_redirects=False)
        return answer

    def authorize(self, **changes: str | None) -> requests.Response:
        """What the hub's login button does."""
        challenge = base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).decode().rstrip("=")
        asked = {
            "response_type": "code",
            "client_id": self.provider.client_id,
            "redirect_uri": CALLBACK,
            "scope": SCOPE,
            "state": "abc",
            "nonce": self.nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        return self.visit("GET", self.endpoints["authorization_endpoint"], params=asked | changes)

    def log_in(self, username: str, password: str) -> requests.Response:
        """Come from the hub, fill in the form and send it."""
        form = self.authorize()
        assert 'id="username"' in form.text
        return self.visit("POST", form.url, data={"username": username, "password": password})

    def code(self, username: str) -> str:
        answer = self.log_in(username, self.provider.people[username].password)
        returned = parse_qs(urlsplit(answer.headers["Location"]).query)
        assert answer.headers["Location"].startswith(f"{CALLBACK}?") and returned["state"] == ["abc"]
        return returned["code"][0]

    def token(self, **asked: str) -> requests.Response:
        return self.session.post(
            self.endpoints["token_endpoint"],
            data=asked | {"client_id": self.provider.client_id, "client_secret": self.provider.client_secret},
        )

    def redeem(self, code: str, **changes: str) -> requests.Response:
        asked = {"code": code, "redirect_uri": CALLBACK, "code_verifier": self.verifier}
        return self.token(grant_type="authorization_code", **asked | changes)

    def refresh(self, refresh_token: str) -> requests.Response:
        return self.token(grant_type="refresh_token", refresh_token=refresh_token)

    def userinfo(self, access_token: str) -> requests.Response:
        bearer = {"Authorization": f"Bearer {access_token}"}
        return self.session.get(self.endpoints["userinfo_endpoint"], headers=bearer)

    def claims(self, id_token: str) -> dict[str, Any]:
        """The claims of an id_token that is checked as a client should; raises PyJWT's errors."""
        published = jwt.PyJWKSet.from_dict(self.session.get(self.endpoints["jwks_uri"]).json())
        key = published[jwt.get_unverified_header(id_token)["kid"]]
        checked: dict[str, Any] = jwt.decode(
            id_token, key, ["RS256"], audience=self.provider.client_id, issuer=self.provider.url
        )
        return checked


def test_people_log_in_with_their_own_password_only(provider: OAuthProvider) -> None:
    for username, password in (("alice", "wrong"), ("alice", provider.people["bob"].password), ("nobody", "")):
        refused = Visitor(provider).log_in(username, password)
        assert refused.status_code == 401 and "Wrong username or password" in refused.text

    visitor = Visitor(provider)
    tokens = visitor.redeem(visitor.code("bob")).json()
    bob = {"preferred_username": "bob", "email": "bob@example.edu", "groups": ["students", "staff"]}
    claims = visitor.claims(tokens["id_token"])
    assert claims["nonce"] == visitor.nonce and bob.items() <= claims.items()
    userinfo = visitor.userinfo(tokens["access_token"]).json()
    assert userinfo["sub"] == claims["sub"] != "bob" and bob.items() <= userinfo.items()
    assert visitor.userinfo("wrong").status_code == 401


def test_a_code_serves_once_and_only_with_its_verifier_and_callback(provider: OAuthProvider) -> None:
    visitor = Visitor(provider)
    code = visitor.code("alice")
    assert visitor.redeem(code).status_code == 200
    assert visitor.redeem(code).json()["error"] == "invalid_grant"
    for wrong in ({"code_verifier": secrets.token_urlsafe(48)}, {"redirect_uri": AFTER_LOGOUT}):
        visitor = Visitor(provider)
        assert visitor.redeem(visitor.code("alice"), **wrong).json()["error"] == "invalid_grant"


def test_no_login_starts_without_pkce_or_for_another_callback(provider: OAuthProvider) -> None:
    visitor = Visitor(provider)
    for wrong in ({"code_challenge": None, "code_challenge_method": None}, {"code_challenge_method": "plain"}):
        refused = visitor.authorize(**wrong)
        assert parse_qs(urlsplit(refused.headers["Location"]).query)["error"] == ["invalid_request"]
    refused = visitor.authorize(redirect_uri="https://elsewhere.test/")
    assert refused.status_code == 400 and "Location" not in refused.headers


def test_a_refresh_brings_new_tokens_and_the_old_serve_no_more(piculator: Piculator) -> None:
    visitor = Visitor(piculator)
    old = visitor.redeem(visitor.code("alice")).json()
    piculator.expire_access_tokens()
    assert visitor.userinfo(old["access_token"]).status_code == 401
    new = visitor.refresh(old["refresh_token"]).json()
    assert visitor.userinfo(new["access_token"]).status_code == 200
    assert visitor.refresh(old["refresh_token"]).json()["error"] == "invalid_grant"


def test_an_account_that_is_gone_takes_its_tokens_along(provider: OAuthProvider) -> None:
    provider.add("carol", "students")
    visitor = Visitor(provider)
    tokens = visitor.redeem(visitor.code("carol")).json()
    provider.set_groups("carol", "staff")
    assert visitor.userinfo(tokens["access_token"]).json()["groups"] == ["staff"]
    password = provider.people["carol"].password
    provider.forget("carol")
    assert visitor.userinfo(tokens["access_token"]).status_code == 401
    assert visitor.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"
    assert Visitor(provider).log_in("carol", password).status_code == 401


def test_a_disabled_account_is_worth_nothing_until_it_is_enabled(piculator: Piculator) -> None:
    visitor = Visitor(piculator)
    tokens = visitor.redeem(visitor.code("mallory")).json()
    piculator.disable("mallory")
    assert visitor.userinfo(tokens["access_token"]).status_code == 401
    assert Visitor(piculator).log_in("mallory", piculator.people["mallory"].password).status_code == 401
    piculator.enable("mallory")
    assert Visitor(piculator).code("mallory")


def test_whoever_logs_out_is_asked_for_the_password_again(provider: OAuthProvider) -> None:
    visitor = Visitor(provider)
    tokens = visitor.redeem(visitor.code("alice")).json()
    assert visitor.authorize().headers["Location"].startswith(CALLBACK)  # single sign-on
    end, hint = visitor.endpoints["end_session_endpoint"], {"id_token_hint": tokens["id_token"]}
    astray = visitor.visit("GET", end, params=hint | {"post_logout_redirect_uri": "https://elsewhere.test/"})
    assert "Location" not in astray.headers
    answer = visitor.visit("GET", end, params=hint | {"post_logout_redirect_uri": AFTER_LOGOUT})
    if isinstance(provider, Oidc):  # which asks first
        action, xsrf = re.findall(r'action="([^"]+)".* name="xsrf" value="([^"]+)"', answer.text)[0]
        answer = visitor.visit("POST", action, data={"xsrf": xsrf, "logout": "yes"})
    assert answer.headers["Location"] == AFTER_LOGOUT
    assert 'id="username"' in visitor.authorize().text


@pytest.mark.parametrize("fault", DETECTED_AS)
def test_a_fault_of_an_id_token_can_be_ordered_once(piculator: Piculator, fault: str) -> None:
    visitor = Visitor(piculator)
    piculator.spoil_next_id_token(fault)
    with pytest.raises(DETECTED_AS[fault]):
        visitor.claims(visitor.redeem(visitor.code("alice")).json()["id_token"])
    again = Visitor(piculator)
    assert again.claims(again.redeem(again.code("alice")).json()["id_token"])["nonce"] == again.nonce


def test_the_nonce_can_be_wrong_and_the_key_can_change(piculator: Piculator) -> None:
    visitor = Visitor(piculator)
    before = visitor.redeem(visitor.code("alice")).json()["id_token"]
    piculator.rotate_key()
    piculator.spoil_next_id_token("nonce")
    after = Visitor(piculator)
    spoiled = after.redeem(after.code("alice")).json()["id_token"]
    assert after.claims(spoiled)["nonce"] != after.nonce
    assert jwt.get_unverified_header(before)["kid"] != jwt.get_unverified_header(spoiled)["kid"]
    assert after.claims(before)["nonce"] == visitor.nonce


def test_a_provider_can_be_down_and_keeps_its_accounts(piculator: Piculator) -> None:
    visitor = Visitor(piculator)
    tokens = visitor.redeem(visitor.code("alice")).json()
    piculator.down()
    assert visitor.userinfo(tokens["access_token"]).status_code == 503
    piculator.up()
    piculator.stop()
    piculator.start_again()
    assert Visitor(piculator).userinfo(tokens["access_token"]).status_code == 200


def test_the_bare_piculator_knows_nothing_of_openid(authority: Authority) -> None:
    bare = Piculator(f"{STACK}-bare", authority, CALLBACK, AFTER_LOGOUT, PICULATOR_KIND="oauth")
    with network(f"{STACK}-bare"), bare:
        visitor = Visitor(bare)
        for path in ("/.well-known/openid-configuration", "/oauth/jwks"):
            assert visitor.session.get(bare.url + path).status_code == 404
        tokens = visitor.redeem(visitor.code("bob")).json()
        assert "id_token" not in tokens
        assert visitor.userinfo(tokens["access_token"]).json() == {
            "id": 2, "username": "bob", "name": "Bob", "email": "bob@example.edu", "groups": ["students", "staff"],
        }  # fmt: skip
        client = (bare.client_id, bare.client_secret)
        token = {"token": tokens["refresh_token"], "token_type_hint": "refresh_token"}
        assert visitor.session.post(visitor.endpoints["revocation_endpoint"], auth=client, data=token).ok
        assert visitor.userinfo(tokens["access_token"]).status_code == 401
        assert "Location" not in visitor.visit("GET", f"{bare.url}/logout?next=https://elsewhere.test/").headers
        assert visitor.visit("GET", f"{bare.url}/logout?next={AFTER_LOGOUT}").headers["Location"] == AFTER_LOGOUT


@pytest.mark.parametrize("how", ["ldaps", "start-tls"])
def test_the_directory_takes_the_right_password_over_tls_only(ldap: Ldap, how: str) -> None:
    def bind(dn: str, password: str, encrypted: bool = True) -> ldap3.Connection:
        tls = ldap3.Tls(validate=ssl.CERT_REQUIRED, ca_certs_file=str(ldap.authority.pem), valid_names=[ldap.host])
        server = ldap3.Server(ldap.address, use_ssl=encrypted and how == "ldaps", tls=tls)
        connection = ldap3.Connection(server, dn, password, raise_exceptions=True)
        if encrypted and how == "start-tls":
            connection.start_tls()
        connection.bind()
        return connection

    alice, bob = ldap.people["alice"], ldap.people["bob"]
    with pytest.raises(LDAPInvalidCredentialsResult):
        bind(ldap.dn("alice"), bob.password)
    with pytest.raises(LDAPConfidentialityRequiredResult):
        bind(ldap.dn("alice"), alice.password, encrypted=False)

    connection = bind(ldap.search_dn, ldap.search_password)
    connection.search(ldap.search_base, "(uid=bob)", attributes=["mail", "userPassword"])
    assert connection.entries[0].entry_attributes_as_dict == {"mail": ["bob@example.edu"], "userPassword": []}
    ldap.add("dave", "staff")
    ldap.set_groups("bob", "students")
    connection = bind(ldap.dn("dave"), ldap.people["dave"].password)
    connection.search(ldap.group_dn("staff"), "(objectClass=groupOfNames)", attributes=["member"])
    assert set(connection.entries[0].member) == {ldap.search_dn, ldap.dn("dave")}
    ldap.forget("dave")
    ldap.set_groups("bob", "students", "staff")
