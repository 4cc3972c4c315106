"""Logins with a password that must fail: accounts, with and without sign-up, Unix accounts, and an LDAP directory."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from login_support import HubBrowser, command, newcomers

from tests import logins
from tests.conftest import RunningStack, stackgen
from tests.providers import Authority, Ldap

WRONG_PASSWORDS = 10
INVALID = "Invalid username or password"


@pytest.fixture(scope="module")
def sign_up(stack: RunningStack) -> Iterator[None]:
    with logins.login(stack, AUTH="accounts", ALLOW_SIGNUP="true"), newcomers(stack):
        yield


def signed_up(stack: RunningStack, name: str, password: str) -> str:
    """Fill in the sign-up form; the page that comes then."""
    fields = {"username": name, "signup_password": password, "signup_password_confirmation": password}
    return HubBrowser(stack.front, name).submit("signup", **fields).text


@pytest.mark.parametrize("name", ["ada", "ADA", "\uff41\uff44\uff41", " ada", "neighbour", "Neighbour"])
def test_nobody_signs_up_under_the_name_of_an_admin_or_of_any_user(
    stack: RunningStack, sign_up: None, name: str
) -> None:
    stack.hub.change("neighbour", admin=False, rule="allow")  # a user without an account, as of another login
    assert "Something went wrong!" in signed_up(stack, name, "of a stranger")
    browser = HubBrowser(stack.front, name, "of a stranger")
    browser.refused(browser.attempt(), 403, INVALID)


def test_who_signed_up_is_let_in_by_an_admin_and_by_no_link_that_an_admin_follows(
    stack: RunningStack, sign_up: None
) -> None:
    assert "has been sent to the admin" in signed_up(stack, "newcomer", "of a newcomer")
    newcomer = HubBrowser(stack.front, "newcomer", "of a newcomer")
    admin = HubBrowser(stack.front, stack.admin, stack.password)
    admin.log_in()
    form = {"name": "newcomer", "action": "allow"}
    for link in ("authorize/newcomer", "waiting?name=newcomer&action=allow"):
        admin.visit(f"{stack.front.url}/hub/{link}")
    without_xsrf = admin.session.post(f"{stack.front.url}/hub/waiting", data=form)
    assert without_xsrf.status_code == 403
    newcomer.refused(newcomer.submit("waiting", **form), 403)
    newcomer.refused(newcomer.attempt(), 403, "Your account waits for an admin")
    assert "Nobody waits" in admin.submit("waiting", **form).text
    newcomer.log_in()


def locked_out(stack: RunningStack, name: str, status: int, words: str) -> None:
    """Somebody tries passwords; then even the right one is refused, until the operator gives a new one."""
    guesser, owner = HubBrowser(stack.front, name, "a guess"), HubBrowser(stack.front, name, stack.user(name))
    for _ in range(WRONG_PASSWORDS):
        guesser.refused(guesser.attempt(), 403, INVALID)
    owner.refused(owner.attempt(), status, words)
    owner.password = "correct horse 7"
    command(stack, "users", "passwd", name, "--password-stdin", stdin=f"{owner.password}\n")
    owner.log_in()


def test_after_ten_wrong_passwords_an_account_is_locked_until_it_gets_a_new_one(
    stack: RunningStack, sign_up: None
) -> None:
    locked_out(stack, "barbara", 429, "Too many wrong passwords. Please try again in 5 minutes.")


# --- Unix accounts


@pytest.fixture(scope="module")
def pam(stack: RunningStack) -> Iterator[None]:
    with logins.login(stack, AUTH="pam", ALLOW_SIGNUP="false"), newcomers(stack):
        yield


def test_after_ten_wrong_passwords_a_unix_account_is_locked_until_it_gets_a_new_one(
    stack: RunningStack, pam: None
) -> None:
    locked_out(stack, "ken", 403, INVALID)


def test_a_unix_account_and_its_block_outlive_the_hubs_container(stack: RunningStack, pam: None) -> None:
    dennis, brian = (HubBrowser(stack.front, name, stack.user(name)) for name in ("dennis", "brian"))
    command(stack, "users", "block", "brian")
    stack.compose("rm", "--stop", "--force", "hub")
    stack.compose("up", "-d", "--wait")
    dennis.log_in()
    brian.refused(brian.attempt(), 403, "brian is blocked on this hub")


@pytest.mark.parametrize("name", ["root", "daemon", "Root"])
def test_nobody_gets_an_account_of_the_containers_own_system(stack: RunningStack, pam: None, name: str) -> None:
    done = stackgen("users", "add", name, "--password-stdin", "-C", stack.directory, stdin="correct horse 7\n")
    assert done.returncode == 1
    assert f"the user name '{name.lower()}' is taken by the system" in done.stderr
    browser = HubBrowser(stack.front, name, "correct horse 7")
    browser.refused(browser.attempt(), 403, INVALID)


# --- LDAP


@pytest.fixture(scope="module")
def ldap(stack: RunningStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ldap]:
    authority = Authority(tmp_path_factory.mktemp("authority"))
    with (
        Ldap(stack.name, authority) as provider,
        logins.login(stack, authority, **logins.ldap(provider)),
        newcomers(stack),
    ):
        yield provider


def test_the_directorys_people_come_in_with_their_own_password_if_they_are_in_the_group(
    stack: RunningStack, ldap: Ldap
) -> None:
    for wrong in ("", "wrong", ldap.people["bob"].password):
        liar = HubBrowser(stack.front, "alice", wrong)
        liar.refused(liar.attempt(), 403, INVALID)
    alice, mallory = (HubBrowser(stack.front, name, ldap.people[name].password) for name in ("alice", "mallory"))
    alice.log_in()
    mallory.refused(mallory.attempt(), 403, INVALID)
    command(stack, "users", "allow", "mallory")
    mallory.log_in()
    command(stack, "users", "block", "mallory")
    mallory.refused(mallory.attempt(), 403, "mallory is blocked on this hub")


def test_a_directory_that_is_down_or_is_another_one_gets_no_password(
    stack: RunningStack, ldap: Ldap, tmp_path: Path
) -> None:
    """The hub says on its form what is wrong; as soon as the directory is back, people come in."""
    alice = HubBrowser(stack.front, "alice", ldap.people["alice"].password)
    ldap.stop()
    alice.refused(alice.attempt(), 503, "The directory does not answer at the moment")
    trusted, ldap.authority = ldap.authority, Authority(tmp_path)
    shutil.copytree(ldap.authority.leaf(ldap.host), trusted.leaf(ldap.host), dirs_exist_ok=True)
    ldap.start_again()
    alice.refused(alice.attempt(), 503, "The directory does not answer at the moment")
    assert "BIND" not in ldap.logs().rpartition("slapd starting")[2]
    ldap.stop()
    ldap.authority = trusted
    trusted.leaf(ldap.host)
    ldap.start_again()
    alice.log_in()


def test_no_password_of_the_directory_was_logged(stack: RunningStack, ldap: Ldap) -> None:
    """Not even after all the errors above."""
    logs = stack.compose("logs")
    assert "alice" in logs
    assert not [person.username for person in ldap.people.values() if person.password in logs]
