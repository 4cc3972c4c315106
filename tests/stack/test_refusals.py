"""Logins at a provider that must fail, and what goes on while it is down: the real hub, and a real Piculator."""

import re
import subprocess
from dataclasses import replace

import pytest
from login_support import Browse, changed, command, parameters, until, visible

from tests.conftest import RunningStack
from tests.providers import Piculator

DOWN = "Piculator does not answer at the moment"

either_kind = pytest.mark.parametrize("provider", ["openid", "oauth"], indirect=True)


# --- Who may come in


@either_kind
def test_a_stranger_is_refused_until_the_operator_allows_the_name(stack: RunningStack, browse: Browse) -> None:
    stranger = browse("mallory")
    stranger.refused(stranger.attempt(), 403, "not currently authorized to use this hub")
    assert "mallory may log in" in command(stack, "users", "allow", "mallory")
    stranger.log_in()
    command(stack, "users", "remove", "mallory")
    assert not stranger.logged_in
    stranger.refused(browse("mallory").attempt(), 403, "not currently authorized")


@pytest.mark.parametrize("username", ["a b", "../x", "a,b", "x" * 129])
def test_a_name_that_cannot_be_a_users_is_refused_with_the_reason(
    piculator: Piculator, browse: Browse, username: str
) -> None:
    piculator.add(username, "students")
    browser = browse(username)
    browser.refused(browser.attempt(), 403, "user name", "must not")


@pytest.mark.parametrize("lookalike", ["Alice", "\uff41\uff4c\uff49\uff43\uff45"])
def test_of_two_people_whose_names_become_the_same_the_second_is_refused(
    stack: RunningStack, piculator: Piculator, browse: Browse, lookalike: str
) -> None:
    browse("alice").log_in()
    piculator.add(lookalike, "students", "staff")
    second = browse(lookalike)
    second.refused(second.attempt(), 403, "The user name alice belongs to somebody else here")
    assert not stack.hub.person("alice").admin


def test_whoever_is_renamed_at_the_provider_keeps_the_volume(piculator: Piculator, browse: Browse) -> None:
    """And whoever gets the old name there gets nothing."""
    piculator.add("carol", "students")
    carol = browse("carol")
    carol.log_in()
    carol.write("of carol")
    rename = "import store; store.query(\"UPDATE users SET username = 'caroline' WHERE username = 'carol'\")"
    piculator.exec("python", "-c", rename)
    piculator.people["caroline"] = replace(piculator.people["carol"], username="caroline")
    caroline = browse("caroline", name="carol")
    caroline.log_in()
    assert caroline.read() == "of carol"
    piculator.add("carol", "students")
    other = browse("carol")
    other.refused(other.attempt(), 403, "The user name carol belongs to somebody else here")


# --- Forged and replayed logins


def test_a_callback_without_the_state_of_this_browser_is_refused(browse: Browse) -> None:
    alice = browse("alice")
    callback = alice.callback()
    nobody = browse("mallory")
    nobody.refused(nobody.visit(callback), 400, "OAuth state missing from cookies")
    mallory = browse("mallory")
    own = parameters(mallory.callback())["state"]
    mallory.refused(mallory.visit(callback), 400, "OAuth state mismatch")
    for state, words in (
        (None, "Missing argument state"),
        ("", "OAuth state missing from URL"),
        (own, "OAuth state mismatch"),
        ("nonsense", "OAuth state mismatch"),
    ):
        browser = browse("alice")
        browser.refused(browser.visit(changed(browser.callback(), state=state)), 400, words)
    alice.visit(callback)
    assert alice.logged_in


def test_a_code_serves_only_the_browser_that_asked_for_it(browse: Browse) -> None:
    """The thief has a valid state, but not the secret of the one who asked (PKCE)."""
    code = parameters(browse("alice").callback())["code"]
    thief = browse("mallory")
    thief.refused(thief.visit(changed(thief.callback(), code=code)), 403, "was used before", "log in again")


@either_kind
def test_a_code_serves_only_once(browse: Browse) -> None:
    alice = browse("alice")
    callback = alice.callback()
    thief, late = browse("alice"), browse("alice")
    thief.session.cookies.update(alice.session.cookies)
    alice.visit(callback)
    assert alice.logged_in
    thief.refused(thief.visit(callback), 403, "was used before")
    code = parameters(callback)["code"]
    late.refused(late.visit(changed(late.callback(), code=code)), 403, "was used before")
    assert alice.logged_in


def test_a_login_that_was_given_up_at_the_provider_says_so(browse: Browse) -> None:
    alice = browse("alice")
    denied = changed(alice.callback(), code=None, error="access_denied", error_description="You said no.")
    alice.refused(alice.visit(denied), 400, "OAuth error: You said no.")


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("forged", "Signature verification failed"),
        ("unsigned", "not signed in a way"),
        ("expired", "Signature has expired"),
        ("issuer", "Invalid issuer"),
        ("audience", "Audience doesn"),
        ("nonce", "belongs to another login"),
    ],
)
def test_an_id_token_that_is_not_true_is_refused(piculator: Piculator, browse: Browse, fault: str, reason: str) -> None:
    piculator.spoil_next_id_token(fault)
    alice = browse("alice")
    alice.refused(alice.attempt(), 403, "What Piculator says about you could not be verified", reason)
    honest = browse("alice")
    honest.log_in()


def test_a_new_signing_key_is_no_reason_to_refuse_anybody(piculator: Piculator, browse: Browse) -> None:
    piculator.rotate_key()
    alice = browse("alice")
    alice.log_in()


# --- The provider is down


def test_while_the_provider_is_down_nobody_comes_in_and_everybody_inside_goes_on(
    stack: RunningStack, piculator: Piculator, browse: Browse
) -> None:
    """Also if the hub starts again meanwhile."""

    def tried_in_vain() -> int:
        return stack.compose("logs", "hub").count("alice could not be refreshed, and stays logged in")

    alice, bob, late = browse("alice"), browse("bob"), browse("bob")
    alice.log_in()
    alice.start_server()
    callback = bob.callback()
    piculator.down()
    try:
        bob.refused(bob.visit(callback), 503, DOWN, "try again")
        until(lambda: DOWN in visible(late.begin()))  # the hub does not look at each login
        late.refused(late.begin(), 503, DOWN, "try again")
        until(lambda: alice.logged_in and tried_in_vain())
        assert alice.served
        piculator.stop()
        seen = tried_in_vain()
        stack.compose("restart", "hub")
        stack.compose("up", "-d", "--wait")
        late.refused(late.begin(), 503, DOWN, "try again")
        until(lambda: alice.logged_in and tried_in_vain() > seen)
        assert alice.served
        piculator.start_again()
    finally:
        piculator.up()
    late.log_in()
    assert alice.logged_in
    assert alice.served


# --- After all that


@either_kind
def test_nothing_secret_was_logged_or_is_an_argument(stack: RunningStack, piculator: Piculator, browse: Browse) -> None:
    browse("alice").log_in()
    tokens = "import store; print(*(text for row in store.query('SELECT * FROM tokens') for text in tuple(row)[:2]))"
    secrets = [
        piculator.client_secret,
        stack.settings["CRYPT_KEY"],
        stack.settings["HUB_API_TOKEN"],
        *(person.password for person in piculator.people.values()),
        *piculator.exec("python", "-c", tokens).split(),
    ]
    logs = stack.compose("logs")
    arguments = subprocess.run(["ps", "axww", "-o", "args"], capture_output=True, text=True, check=True).stdout
    for text in (logs, arguments):
        assert not [secret for secret in secrets if secret in text]
        assert not re.findall(r"eyJ[\w-]+\.eyJ.*", text), "a JSON Web Token"
    assert not re.findall(r"[?&]code=(?!\[secret\]).*", logs)
    assert "oauth_callback" in logs
