"""From one login to another and back: people keep their volumes, also where the provider has another name for them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from login_support import HubBrowser, OAuthBrowser, command, newcomers, server_reports, server_runs

from tests import logins
from tests.conftest import RunningStack, stackgen
from tests.providers import Authority, Piculator


def test_from_accounts_to_piculator_and_back_everybody_keeps_their_files(stack: RunningStack, tmp_path: Path) -> None:
    """Ada is alice at Piculator, and another one is called ada.l there. Bob has the same name in both."""
    authority, before = Authority(tmp_path), {}
    with (
        asked_at_each_request(stack),
        newcomers(stack),
        Piculator(stack.name, authority, *logins.callback(stack), PICULATOR_KIND="openid") as piculator,
    ):
        passwords = {name: stack.user(name) for name in ("ada.l", "bob")}
        for name, password in passwords.items():
            browser = HubBrowser(stack.front, name, password)
            browser.log_in()
            browser.write(f"by {name}")
            before[name] = Opened(browser)
        piculator.add("ada.l", "students")
        with logins.login(stack, authority, **logins.piculator(piculator)):
            ended(stack, before)
            bob = OAuthBrowser(stack.front, piculator, "bob")
            bob.log_in()
            assert bob.read() == "by bob"
            command(stack, "users", "alias", "alice", "ada.l")
            ada = OAuthBrowser(stack.front, piculator, "alice", name="ada.l")
            ada.log_in()
            assert ada.read() == "by ada.l"
            ada.write("by Ada, at Piculator")
            before = {"bob": Opened(bob), "ada.l": Opened(ada)}
            an_alias_lets_in_one_person_only(stack, piculator)
            assert "3 * 5 * 17 * 257" in command(stack, "smoke")
        ended(stack, before)
        texts = {"ada.l": "by Ada, at Piculator", "bob": "by bob"}
        for name, password in passwords.items():
            browser = HubBrowser(stack.front, name, password)
            browser.log_in()
            assert browser.read() == texts[name]


class Opened:
    """What somebody has open: a browser on the hub and in JupyterLab, and a script's token."""

    def __init__(self, browser: HubBrowser) -> None:
        self.browser, self.token = browser, browser.new_token()
        assert self.works == [True, True, True]

    @property
    def works(self) -> list[bool]:
        return [self.browser.logged_in, self.browser.served, self.browser.token_works(self.token)]


def ended(stack: RunningStack, before: dict[str, Opened]) -> None:
    """After a change of login: the same name may be somebody else's. But servers compute on."""
    for name, opened in before.items():
        assert opened.works == [False, False, False]
        assert server_runs(stack, name)
        assert server_reports(stack, name)


@contextmanager
def asked_at_each_request(stack: RunningStack) -> Iterator[None]:
    """Servers do not remember the hub's answers; usually they do for five minutes."""
    drop_in = stack.directory / "hub/config.d/91-cache.py"
    drop_in.write_text('c.Spawner.args = ["--HubOAuth.cache_max_age=1"]\n')
    stack.compose("restart", "hub")
    stack.compose("up", "-d", "--wait")
    try:
        yield
    finally:
        drop_in.unlink()


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
