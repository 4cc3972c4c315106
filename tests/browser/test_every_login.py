"""What people do in a real browser with each of the logins, at real identity providers."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from lab import LOGIN, Visitor
from playwright.sync_api import expect

from stackgen import people
from stackgen.engine import Engine
from tests import logins
from tests.conftest import RunningStack, docker
from tests.providers import Authority, Ldap, Oidc, Piculator, Provider

Visit = Callable[..., Visitor]
Account = Callable[[], tuple[str, str]]
SMALL = {"width": 800, "height": 480}
NAMES = ("alice", "bob", "carol")
UNTIL_ASKED = 10  # seconds for which the hub takes a provider that answered to be up; it asks about people more often


@dataclass(frozen=True)
class Site:
    """The stack with one of the logins."""

    passwords: dict[str, str]  # of alice, bob and carol, none of whom is an admin
    provider: Provider | None = None
    service: str = ""  # what the login button says, where there is one


@contextmanager
def accounts(stack: RunningStack, authority: Authority) -> Iterator[Site]:
    with logins.login(stack, AUTH="accounts", ALLOW_SIGNUP="true"):
        yield Site({name: stack.user(name) for name in NAMES})


@contextmanager
def pam(stack: RunningStack, authority: Authority) -> Iterator[Site]:
    with logins.login(stack, AUTH="pam"):
        yield Site({name: stack.user(name) for name in NAMES})


@contextmanager
def ldap(stack: RunningStack, authority: Authority) -> Iterator[Site]:
    with Ldap(stack.name, authority) as directory, logins.login(stack, authority, **logins.ldap(directory)):
        yield site_at(directory)


@contextmanager
def oidc(stack: RunningStack, authority: Authority) -> Iterator[Site]:
    with (
        Oidc(stack.name, authority, *logins.callback(stack)) as university,
        logins.login(stack, authority, **logins.oidc(university), LOGIN_SERVICE="Example University"),
    ):
        yield site_at(university, "Example University")


@contextmanager
def piculator_openid(stack: RunningStack, authority: Authority) -> Iterator[Site]:
    with (
        Piculator(stack.name, authority, *logins.callback(stack), PICULATOR_KIND="openid") as club,
        logins.login(stack, authority, **logins.piculator(club)),
    ):
        yield site_at(club, "Piculator")


@contextmanager
def piculator_oauth(stack: RunningStack, authority: Authority) -> Iterator[Site]:
    """Without OpenID Connect nothing but a setting tells where to log out."""
    with (
        Piculator(stack.name, authority, *logins.callback(stack), PICULATOR_KIND="oauth") as club,
        logins.login(stack, authority, **logins.piculator(club), PICULATOR_LOGOUT_URL=f"{club.url}/logout"),
    ):
        yield site_at(club, "Piculator")


def site_at(provider: Provider, service: str = "") -> Site:
    """The site of those who have accounts at this provider."""
    provider.set_groups("bob", "students")
    provider.add("carol", "students")
    return Site({name: provider.people[name].password for name in NAMES}, provider, service)


SITES = {opened.__name__: opened for opened in (accounts, pam, ldap, oidc, piculator_openid, piculator_oauth)}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def site(request: pytest.FixtureRequest, stack: RunningStack, authority: Authority) -> Iterator[Site]:
    """The stack with the login that the test names. Its people are gone afterwards: the next login has its own."""
    with SITES[request.param](stack, authority) as opened:
        yield opened
        for name in NAMES:
            forget(stack, name)


def forget(stack: RunningStack, name: str) -> None:
    """Remove a user with server and volume."""
    people.remove(stack.settings, Engine(), stack.hub, name, volume=True)


def volume_of(stack: RunningStack, name: str) -> str:
    """The volume that a user's running server has."""
    return docker("inspect", "--format", "{{range .Mounts}}{{.Name}}{{end}}", f"{stack.name}-{name}")


@pytest.mark.parametrize("site", SITES, indirect=True)
def test_two_people_share_one_browser_and_nothing_else(stack: RunningStack, site: Site, visit: Visit) -> None:
    """alice computes, saves and logs out, also at the provider; then bob logs in, and finds nothing of hers."""
    visitor = visit()
    page = visitor.page
    visitor.sign_in("alice", site.passwords["alice"], site.service)
    visitor.new_notebook()
    expect(visitor.run("2^100")).to_have_text("1267650600228229401496703205376")
    visitor.save("diary.ipynb")
    visitor.sign_out()
    if isinstance(site.provider, Oidc):  # which asks first
        page.get_by_role("button", name="Log out").click()
    expect(page).to_have_url(LOGIN)

    # if the provider still knew alice, there would be no form for bob
    visitor.identify("bob", site.passwords["bob"], site.service)
    visitor.expect_lab("bob")
    expect(page.locator("body")).not_to_contain_text("alice", ignore_case=True)
    assert volume_of(stack, "alice") != volume_of(stack, "bob")
    for path in ("lab", "files/diary.ipynb", "api/contents"):
        answer = page.goto(f"{visitor.url}/user/alice/{path}")
        assert answer and answer.status == 403, path
        assert "1267650600228229401496703205376" not in page.content(), path
    answer = page.goto(f"{visitor.url}/user/bob/api/contents")
    assert answer and [item["name"] for item in answer.json()["content"]] == ["Welcome.ipynb"]
    page.goto(f"{visitor.url}/hub/home")
    visitor.expect_home("bob")
    expect(page.locator("body")).not_to_contain_text("alice", ignore_case=True)


@pytest.mark.parametrize("site", ["accounts"], indirect=True)
def test_a_user_chooses_another_password(site: Site, visit: Visit, account: Account) -> None:
    """By the page that the hub's navigation bar leads to. The old password serves no more."""
    visitor, (name, old) = visit(**SMALL), account()
    page, new = visitor.page, "nine tall giraffes"
    visitor.sign_in_to_hub(name, old)
    page.get_by_role("link", name="Password").click()
    fields = [page.get_by_label(label) for label in ("Present password:", "New password (at", "New password again:")]
    visitor.expect_in_sight(*fields, page.get_by_role("button", name="Change password"))
    for field, text in zip(fields, (old, new, new), strict=True):
        field.fill(text)
    page.get_by_role("button", name="Change password").click()
    expect(page.get_by_role("status")).to_have_text("Your password has been changed.")

    page.get_by_role("button", name="Logout").click()
    expect(page).to_have_url(LOGIN)
    visitor.identify(name, old)
    expect(page.get_by_text("Invalid username or password")).to_be_visible()
    visitor.sign_in_to_hub(name, new)


@pytest.fixture
def stranger(stack: RunningStack) -> Iterator[str]:
    """The name of somebody who may sign up."""
    yield "strange.carol"
    forget(stack, "strange.carol")


@pytest.mark.parametrize("site", ["accounts"], indirect=True)
def test_whoever_signs_up_waits_until_an_admin_lets_them_in(
    stack: RunningStack, site: Site, visit: Visit, stranger: str
) -> None:
    """A stranger signs up from the login page and cannot log in; an admin lets them in; then they can."""
    visitor, password = visit(**SMALL), "nine tall giraffes"
    page = visitor.page
    page.goto(f"{visitor.url}/hub/login")
    sign_up = page.get_by_role("link", name="Sign up")
    visitor.expect_in_sight(page.get_by_label("Password:"), page.get_by_role("button", name="Sign in"), sign_up)
    sign_up.click()
    send = page.get_by_role("button", name="Sign up")
    fields = [page.get_by_label("Password (at least 8 characters):"), page.get_by_label("Password again:")]
    visitor.expect_good_page(page.get_by_label("Username:"), *fields, send)
    page.get_by_label("Username:").fill(stranger)
    for field in fields:
        field.fill(password)
    send.click()
    expect(page.get_by_role("alert")).to_contain_text("sent to the admin")
    page.goto(f"{visitor.url}/hub/login")
    visitor.identify(stranger, password)
    visitor.expect_in_sight(page.get_by_text("waits for an admin"))

    admin = visit(**SMALL)
    admin.sign_in_to_hub(stack.admin, stack.password)
    admin.page.get_by_role("link", name="Sign-ups").click()
    let_in = admin.page.get_by_role("row", name=stranger).get_by_role("button", name="Let in")
    admin.expect_good_page(let_in)
    let_in.click()
    expect(admin.page.get_by_text("Nobody waits")).to_be_visible()
    visitor.sign_in(stranger, password)


@pytest.mark.parametrize("site", ["piculator_openid"], indirect=True)
def test_while_the_provider_is_down_its_button_says_so_and_others_go_on_working(
    site: Site, visit: Visit, request: pytest.FixtureRequest
) -> None:
    """carol works while nobody can log in, even when the hub asks the provider about her; then bob can log in again."""
    club = site.provider
    assert isinstance(club, Piculator)
    worker, visitor = visit(), visit(**SMALL)
    worker.sign_in("carol", site.passwords["carol"], site.service)
    worker.new_notebook()
    club.down()
    request.addfinalizer(club.up)
    worker.page.wait_for_timeout(1000 * UNTIL_ASKED)
    expect(worker.run("factor(2026)")).to_have_text("2 * 1013")
    worker.page.goto(f"{worker.url}/hub/home")
    worker.expect_home("carol")
    assert '/oauth/userinfo HTTP/1.1" 503' in club.logs()

    page = visitor.page
    page.goto(f"{visitor.url}/hub/login")
    visitor.expect_in_sight(page.get_by_role("button", name="Sign in with Piculator"))
    visitor.go_to_provider(site.service)
    visitor.expect_in_sight(page.get_by_role("paragraph").filter(has_text="Piculator does not answer at the moment"))
    club.up()
    visitor.sign_in_to_hub("bob", site.passwords["bob"], site.service)
