"""Admins: in .env, in the file that the hub reads when it starts, and in the running hub."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from hub_package import database
from hub_support import ACCOUNTS, HubStandIn, person
from stackgen_hub.accounts import AccountsAuthenticator
from stackgen_hub.api import PeopleAPIHandler

from stackgen import envfile
from stackgen.admins import add_admin, remove_admin
from stackgen.apply import apply
from stackgen.engine import Container, Engine
from stackgen.errors import CONFLICT, StackgenError
from stackgen.rendering import pending
from stackgen.stack import Stack

PASSWORD = "correct horse"


class RunningHub(Engine):
    """An engine on which the hub's container runs."""

    def services(self, project: str) -> dict[str, Container]:
        empty: frozenset[int] = frozenset()
        return {"hub": Container(f"{project}-hub-1", "running", "healthy", "", "", {}, empty, 0, {}, frozenset())}


@pytest.fixture
def stack(hub: HubStandIn) -> Stack:
    """A rendered stack whose admin is ada, and whose hub is up."""
    hub.people = {"ada": person("ada", admin=True)}
    return rendered(hub)


def rendered(hub: HubStandIn) -> Stack:
    stack = Stack.at(hub.directory)
    apply(pending(stack), stack.directory)
    return stack


def admins_of(directory: Path) -> tuple[str, list[str]]:
    """The admins of .env, and those of the file that the hub reads."""
    return envfile.read(directory / ".env")["ADMIN_USERS"], (directory / "hub/admins").read_text().split()


def test_a_new_admin_gets_a_password_and_an_old_user_keeps_theirs(hub: HubStandIn, stack: Stack) -> None:
    hub.people["li"] = person("li")
    assert add_admin(stack, RunningHub(), "Grace", lambda: PASSWORD, renew=False).password == PASSWORD
    add_admin(Stack.at(hub.directory), RunningHub(), "li", lambda: pytest.fail("asked for a password"), renew=False)
    assert hub.changes() == [
        ("PATCH", "people/grace", {"password": PASSWORD}),
        ("PATCH", "people/grace", {"admin": True}),
        ("PATCH", "people/li", {"admin": True}),
    ]
    assert admins_of(hub.directory) == ("ada,grace,li", ["ada", "grace", "li"])


def test_whoever_signed_up_under_a_name_does_not_keep_the_password_as_an_admin(hub: HubStandIn, stack: Stack) -> None:
    """It may be a stranger's; the operator's replaces it."""
    hub.people["grace"] = person("grace", "waiting")
    assert add_admin(stack, RunningHub(), "grace", lambda: PASSWORD, renew=False).password == PASSWORD


def test_to_the_hub_whoever_only_signed_up_is_not_settled() -> None:
    with database() as db:
        authenticator = AccountsAuthenticator(db=db, enable_signup=True)
        authenticator.create_user("guest", "of a stranger")
        authenticator.store_passwords({"bob": b"$2b$04$abcdefghijklmnopqrstuuKzmp3JlMDPgoqSXGzmNCWNzyVz1XvO2"})
        handler = PeopleAPIHandler.__new__(PeopleAPIHandler)
        handler.application = SimpleNamespace(settings={"authenticator": authenticator})
        assert handler.settled() == {"bob"}


def test_with_a_providers_login_no_password_is_asked_for(provider: HubStandIn) -> None:
    stack = rendered(provider)
    added = add_admin(stack, RunningHub(), "li", lambda: pytest.fail("asked for a password"), renew=False)
    assert (added.name, added.password) == ("li", "")
    assert provider.changes() == [("PATCH", "people/li", {"admin": True})]
    assert admins_of(provider.directory) == ("ada,li", ["ada", "li"])


def test_an_admin_is_removed_everywhere_and_again_without_harm(hub: HubStandIn, stack: Stack) -> None:
    for _ in range(2):
        removed = remove_admin(Stack.at(hub.directory), RunningHub(), "ADA")
        assert (removed.name, removed.left) == ("ada", True)  # the stand-in still says that ada is one
    assert hub.changes() == [("PATCH", "people/ada", {"admin": False})] * 2
    assert admins_of(hub.directory) == ("", [])
    hub.people = {}
    assert not remove_admin(Stack.at(hub.directory), RunningHub(), "ada").left


def test_no_other_file_that_waits_for_a_render_is_touched(hub: HubStandIn, stack: Stack) -> None:
    (hub.directory / "nginx/nginx.conf").unlink()
    add_admin(stack, RunningHub(), "grace", lambda: PASSWORD, renew=False)
    assert not (hub.directory / "nginx/nginx.conf").exists()
    assert admins_of(hub.directory)[1] == ["ada", "grace"]


def test_an_edited_file_of_admins_is_kept_and_the_admin_is_removed_all_the_same(hub: HubStandIn, stack: Stack) -> None:
    (hub.directory / "hub/admins").write_text("ada\nmine\n")
    with pytest.raises(StackgenError, match="hub/admins was edited by you") as conflict:
        remove_admin(stack, RunningHub(), "ada")
    assert conflict.value.exit_code == CONFLICT
    assert hub.changes() == [("PATCH", "people/ada", {"admin": False})]
    assert admins_of(hub.directory) == ("", ["ada", "mine"])


def test_admins_are_listed_with_where_they_come_from(hub: HubStandIn) -> None:
    """Those of .env, also before the hub knows them, and those whom the admin page made."""
    hub.log_in_with(ACCOUNTS | {"ADMIN_USERS": "ada,new"})
    hub.people = {"ada": person("ada", admin=True), "li": person("li", admin=True), "bo": person("bo")}
    assert json.loads(hub.stackgen("admins", "--json").stdout) == [
        {"name": "ada", "in_env": True, "state": "active"},
        {"name": "new", "in_env": True, "state": "after the next start"},
        {"name": "li", "in_env": False, "state": "active"},
    ]


def test_the_admins_of_env_are_listed_while_the_hub_is_down(hub: HubStandIn) -> None:
    hub.shutdown()
    hub.server_close()
    done = hub.stackgen("admins")
    assert (done.returncode, done.stdout) == (0, "admin  made in  state\nada    .env     unknown\n")
    assert "only the admins of .env are shown" in done.stderr
