"""Access that ends, because somebody at the provider or the operator says so: the real hub, and real providers."""

import time

import pytest
from login_support import TOKEN_LIFETIME, Browse, command, server_reports, server_runs, until

from tests.conftest import RunningStack
from tests.providers import Piculator
from tests.providers.oauth import OAuthProvider

anywhere = pytest.mark.parametrize("provider", ["openid", "oauth", "oidc"], indirect=True)


@anywhere
def test_whoever_leaves_the_group_is_out_at_the_next_refresh_even_inside_jupyterlab(
    stack: RunningStack, provider: OAuthProvider, browse: Browse
) -> None:
    """JupyterLab asks the user's server only, and never the hub."""
    provider.add("erin", "students")
    erin, elsewhere = browse("erin"), browse("erin")
    erin.log_in()
    elsewhere.log_in()
    erin.start_server()
    provider.set_groups("erin", "chess")
    until(lambda: not erin.served)
    until(lambda: not server_runs(stack, "erin"))
    assert not erin.logged_in
    assert not elsewhere.logged_in
    erin.refused(browse("erin").attempt(), 403, "not currently authorized")
    provider.set_groups("erin", "students")
    assert not erin.logged_in
    erin.log_in()


@pytest.mark.parametrize(
    ("provider", "end"),
    [("openid", "disable"), ("openid", "forget"), ("oauth", "disable"), ("oauth", "forget"), ("oidc", "forget")],
    indirect=["provider"],
)
def test_whoever_has_no_account_any_more_is_out_at_the_next_refresh(
    provider: OAuthProvider, browse: Browse, end: str
) -> None:
    name = f"{end}-me"
    provider.add(name, "students")
    leaver = browse(name)
    leaver.log_in()
    getattr(provider, end)(name)
    until(lambda: not leaver.logged_in)


@anywhere
def test_an_access_token_that_is_over_is_renewed_and_nobody_notices(
    stack: RunningStack, provider: OAuthProvider, browse: Browse
) -> None:
    """Refused before its time by one of the providers, and expired at the others."""
    provider.add("ivan", "students")
    ivan = browse("ivan")
    ivan.log_in()
    for group in ("chess", "go"):  # the second time with what the first one brought
        if isinstance(provider, Piculator):
            provider.expire_access_tokens()
        time.sleep(TOKEN_LIFETIME)
        provider.set_groups("ivan", "students", group)
        until(lambda group=group: ivan.logged_in and group in stack.hub.person("ivan").groups)
        assert ivan.logged_in


@pytest.mark.parametrize("provider", ["openid", "oidc"], indirect=True)
def test_whoever_logged_out_does_nothing_by_tokens_until_the_next_login(
    stack: RunningStack, provider: OAuthProvider, browse: Browse
) -> None:
    """Where the provider ends its session too, it cannot be asked any more; but the person's server computes on."""
    provider.add("kurt", "students")
    kurt = browse("kurt")
    kurt.log_in()
    kurt.start_server()
    script = kurt.new_token()
    assert kurt.token_works(script)
    kurt.visit(f"{stack.front.url}/hub/logout")
    assert not kurt.logged_in
    until(lambda: not kurt.token_works(script))
    assert not kurt.served
    assert server_reports(stack, "kurt")
    again = browse("kurt")
    again.log_in()
    assert again.token_works(script)
    again.visit(f"{stack.front.url}/hub/logout")
    provider.set_groups("kurt", "chess")
    until(lambda: not again.token_works(script))
    late = browse("kurt")
    late.refused(late.attempt(), 403, "not currently authorized")
    assert not late.token_works(script)


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


# --- The operator's word


def test_a_block_ends_everything_at_once_until_the_operator_allows_the_name(
    stack: RunningStack, piculator: Piculator, browse: Browse
) -> None:
    piculator.add("dave", "students")
    dave, elsewhere = browse("dave"), browse("dave")
    dave.log_in()
    elsewhere.log_in()
    dave.start_server()
    assert dave.served
    token = dave.new_token()
    command(stack, "users", "block", "dave")
    assert not dave.logged_in
    assert not elsewhere.logged_in
    assert not dave.token_works(token)
    until(lambda: not server_runs(stack, "dave"))
    assert "Sign in with Piculator" in dave.visit(f"{dave.server}/api/status").text
    again = browse("dave")
    again.refused(again.attempt(), 403, "dave is blocked on this hub")
    command(stack, "users", "allow", "dave")
    again.log_in()


def test_the_end_of_a_block_is_no_more_than_that_until_the_operator_allows_the_name_once_more(
    stack: RunningStack, piculator: Piculator, browse: Browse
) -> None:
    piculator.add("judy", "students")
    judy = browse("judy")
    judy.log_in()
    command(stack, "users", "block", "judy")
    command(stack, "users", "allow", "judy")
    judy.log_in()
    piculator.set_groups("judy", "chess")
    until(lambda: not judy.logged_in)
    judy.refused(judy.attempt(), 403, "not currently authorized")
    command(stack, "users", "allow", "judy")
    judy.log_in()
