"""From one login to another and back: people keep their volumes, also where the provider has another name for them."""

from pathlib import Path

from login_support import HubBrowser, OAuthBrowser, command, newcomers

from tests import logins
from tests.conftest import RunningStack, stackgen
from tests.providers import Authority, Piculator


def test_from_accounts_to_piculator_and_back_everybody_keeps_their_files(stack: RunningStack, tmp_path: Path) -> None:
    """Ada is alice at Piculator, and another one is called ada.l there. Bob has the same name in both."""
    authority = Authority(tmp_path)
    with (
        newcomers(stack),
        Piculator(stack.name, authority, *logins.callback(stack), PICULATOR_KIND="openid") as piculator,
    ):
        passwords = {name: stack.user(name) for name in ("ada.l", "bob")}
        for name, password in passwords.items():
            browser = HubBrowser(stack.front, name, password)
            browser.log_in()
            browser.write(f"by {name}")
        piculator.add("ada.l", "students")
        with logins.login(stack, authority, **logins.piculator(piculator)):
            bob = OAuthBrowser(stack.front, piculator, "bob")
            bob.log_in()
            assert bob.read() == "by bob"
            command(stack, "users", "alias", "alice", "ada.l")
            ada = OAuthBrowser(stack.front, piculator, "alice", name="ada.l")
            ada.log_in()
            assert ada.read() == "by ada.l"
            ada.write("by Ada, at Piculator")
            an_alias_lets_in_one_person_only(stack, piculator)
            assert "3 * 5 * 17 * 257" in command(stack, "smoke")
        texts = {"ada.l": "by Ada, at Piculator", "bob": "by bob"}
        for name, password in passwords.items():
            browser = HubBrowser(stack.front, name, password)
            browser.log_in()
            assert browser.read() == texts[name]


def an_alias_lets_in_one_person_only(stack: RunningStack, piculator: Piculator) -> None:
    """Neither the provider's own ada.l gets Ada's volume, nor anybody by a second alias."""
    other = OAuthBrowser(stack.front, piculator, "ada.l")
    other.refused(other.attempt(), 403, "The user name ada.l belongs to somebody else here")
    for login, name, words in (
        ("mallory", "ada.l", "ada.l is whoever logs in as alice"),
        ("mallory", "bob", "somebody else has logged in as bob already"),
    ):
        done = stackgen("users", "alias", login, name, "-C", stack.directory)
        assert done.returncode == 1
        assert words in done.stderr
    command(stack, "users", "alias", "alice", "ada.l")
    assert command(stack, "users", "alias", "--list").split() == ["login", "user", "alice", "ada.l"]
