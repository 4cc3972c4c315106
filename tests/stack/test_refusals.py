"""Logins at a provider that must fail, and access that must end: the real hub, and a real Piculator."""

import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from login_support import OAuthBrowser, changed, command, newcomers, parameters, server_runs, until, visible

from stackgen.errors import StackgenError
from stackgen.smoke import Browser
from tests import logins
from tests.conftest import RunningStack
from tests.providers import Authority, Piculator

DOWN = "Piculator does not answer at the moment"
Browse = Callable[..., OAuthBrowser]

either_kind = pytest.mark.parametrize("piculator", ["openid", "oauth"], indirect=True)


@pytest.fixture(scope="module", params=["openid"])
def piculator(
    request: pytest.FixtureRequest, stack: RunningStack, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Piculator]:
    """Piculator as the stack's login, with OpenID Connect unless a test asks for the bare kind."""
    drop_in = stack.directory / "hub/config.d/91-cache.py"
    drop_in.write_text('c.Spawner.args = ["--HubOAuth.cache_max_age=1"]\n')  # seconds; the default is five minutes
    authority = Authority(tmp_path_factory.mktemp("authority"))
    provider = Piculator(stack.name, authority, *logins.callback(stack), PICULATOR_KIND=request.param)
    try:
        with provider, logins.login(stack, authority, **logins.piculator(provider)), newcomers(stack):
            yield provider
    finally:
        drop_in.unlink()


@pytest.fixture
def browse(stack: RunningStack, piculator: Piculator) -> Browse:
    """`browse(username)`: the browser of somebody who has an account at Piculator, without any cookie."""

    def browse(username: str, name: str = "") -> OAuthBrowser:
        return OAuthBrowser(stack.front, piculator, username, name)

    return browse


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


def test_a_block_ends_everything_at_once_until_the_operator_allows_the_name(
    stack: RunningStack, piculator: Piculator, browse: Browse
) -> None:
    piculator.add("dave", "students")
    dave, elsewhere = browse("dave"), browse("dave")
    dave.log_in()
    elsewhere.log_in()
    dave.start_server()
    assert dave.served
    token = dave.hub_api("POST", "/users/dave/tokens").json()["token"]
    command(stack, "users", "block", "dave")
    assert not dave.logged_in
    assert not elsewhere.logged_in
    with pytest.raises(StackgenError, match="could not sign in"):
        Browser(stack.front, "dave").use_token(token)
    until(lambda: not server_runs(stack, "dave"))
    assert "Sign in with Piculator" in dave.visit(f"{dave.server}/api/status").text
    again = browse("dave")
    again.refused(again.attempt(), 403, "dave is blocked on this hub")
    command(stack, "users", "allow", "dave")
    again.log_in()


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


# --- Access that ends


@either_kind
def test_whoever_leaves_the_group_is_out_at_the_next_refresh_even_inside_jupyterlab(
    stack: RunningStack, piculator: Piculator, browse: Browse
) -> None:
    """JupyterLab asks the user's server only, and never the hub."""
    piculator.add("erin", "students")
    erin, elsewhere = browse("erin"), browse("erin")
    erin.log_in()
    elsewhere.log_in()
    erin.start_server()
    piculator.set_groups("erin", "chess")
    until(lambda: not erin.served)
    until(lambda: not server_runs(stack, "erin"))
    assert not erin.logged_in
    assert not elsewhere.logged_in
    erin.refused(browse("erin").attempt(), 403, "not currently authorized")
    piculator.set_groups("erin", "students")
    assert not erin.logged_in
    erin.log_in()


@either_kind
@pytest.mark.parametrize("end", [Piculator.disable, Piculator.forget])
def test_whoever_has_no_account_any_more_is_out_at_the_next_refresh(
    piculator: Piculator, browse: Browse, end: Callable[[Piculator, str], None]
) -> None:
    name = f"{end.__name__}-me"
    piculator.add(name, "students")
    leaver = browse(name)
    leaver.log_in()
    end(piculator, name)
    until(lambda: not leaver.logged_in)


def test_an_admin_group_makes_admins_as_long_as_they_are_in_it(piculator: Piculator, browse: Browse) -> None:
    bob = browse("bob")
    bob.log_in()
    assert bob.admin
    piculator.set_groups("bob", "students")
    until(lambda: not bob.admin)
    assert bob.logged_in
    piculator.set_groups("bob", "students", "staff")
    until(lambda: bob.admin)


def test_an_admin_of_env_is_one_until_the_operator_says_otherwise(
    stack: RunningStack, piculator: Piculator, browse: Browse
) -> None:
    """Without being in an admin group: neither a login nor a refresh takes the rights, but remove-admin does."""
    piculator.add("frank", "students")
    frank = browse("frank")
    frank.log_in()
    assert not frank.admin
    command(stack, "add-admin", "frank")
    assert frank.admin
    frank = browse("frank")
    frank.log_in()
    assert frank.admin
    piculator.set_groups("frank", "students", "chess")
    until(lambda: frank.admin and "chess" in stack.hub.person("frank").groups)
    assert frank.admin
    command(stack, "remove-admin", "frank")
    assert not frank.admin
    stack.compose("restart", "hub")
    stack.compose("up", "-d", "--wait")
    assert not frank.admin
    command(stack, "up")
    assert not frank.admin
    frank = browse("frank")
    frank.log_in()
    assert not frank.admin


def test_a_name_taken_out_of_env_by_hand_is_no_admin_after_up(
    stack: RunningStack, piculator: Piculator, browse: Browse
) -> None:
    env = stack.directory / ".env"
    before = env.read_text()
    piculator.add("heidi", "students")
    command(stack, "add-admin", "heidi")
    heidi = browse("heidi")
    heidi.log_in()
    assert heidi.admin
    env.write_text(before)
    command(stack, "up")
    assert heidi.logged_in
    assert not heidi.admin


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
