"""`stackgen users`, from the command line to what the hub is asked; a small server stands in for the hub.

What the real hub makes of it is tested in tests/stack.
"""

import csv
import io
import json
import re
import stat

import hub_package  # noqa: F401  # finds the hub's own package
import pytest
from hub_support import HubStandIn, person
from stackgen_hub.logins import configure_login
from traitlets.config import Config
from unit_support import LOGGED_IN, problems, settings

from stackgen import people
from stackgen.errors import USAGE
from stackgen.hubapi import Person
from stackgen.logins import LOGINS
from stackgen.roster import Entry
from stackgen.settings_table import BY_KEY


def rows(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text)))


def test_a_class_is_imported_and_new_passwords_are_for_the_operator_alone(hub: HubStandIn) -> None:
    """Whoever is there keeps the password; given ones are taken; for the others the file holds made ones in time."""
    hub.people = {"bob": person("bob")}
    (hub.directory / "class.txt").write_text("username,password,groups\nLi,,one|two\nbob,,one\neve,correct horse\n")
    done = hub.stackgen("users", "import", "class.txt")
    assert (done.returncode, done.stdout) == (0, "")
    assert "added: 2, there already: 1, bad lines skipped: 0" in done.stderr
    [file] = hub.directory.glob("new-accounts-*.csv")
    assert re.fullmatch(r"new-accounts-\d{8}-\d{6}\.csv", file.name)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    header, [name, password, *_] = rows(file.read_text("utf-8-sig"))
    assert (header[:2], name) == (["username", "password"], "li")
    assert re.fullmatch("[A-Za-z0-9]{21}", password), "a spreadsheet reads what begins with a sign as a formula"
    assert hub.files_at_post == [file.name], "an interrupted command leaves no password that nobody knows"
    [(_, _, body)] = hub.changes()
    assert body["people"] == [
        {"name": "li", "password": password, "generated": True, "groups": ["one", "two"]},
        {"name": "bob", "groups": ["one"]},
        {"name": "eve", "password": "correct horse"},
    ]
    assert password not in done.stderr


def test_when_the_hub_refuses_nothing_is_left_behind(hub: HubStandIn) -> None:
    hub.refuses = True
    (hub.directory / "class.txt").write_text("li\n")
    done = hub.stackgen("users", "import", "class.txt", "--output", "secret.csv")
    assert done.returncode == 1
    assert problems(done.stderr) == [("the hub refused: not this one", "")]
    assert hub.files_at_post == ["secret.csv"]
    assert not list(hub.directory.glob("*.csv"))


def test_when_the_hub_does_not_answer_the_passwords_are_kept(hub: HubStandIn) -> None:
    """Nobody can tell whether it had created the accounts."""
    hub.hangs_up = True
    (hub.directory / "class.txt").write_text("li\n")
    done = hub.stackgen("users", "import", "class.txt", "--output", "secret.csv")
    assert done.returncode == 1
    assert "the hub does not answer" in done.stderr
    assert "the hub may have taken these passwords or not" in done.stderr
    assert len(rows((hub.directory / "secret.csv").read_text("utf-8-sig"))) == 2


@pytest.mark.parametrize("arguments", [["import", "class.txt", "--output", "-"], ["add", "li", "bo", "--generate"]])
def test_passwords_are_printed_when_the_hub_has_taken_them_or_may_have(hub: HubStandIn, arguments: list[str]) -> None:
    (hub.directory / "class.txt").write_text("li\nbo\n")
    hub.refuses = True
    assert hub.stackgen("users", *arguments).stdout == ""
    hub.hangs_up = True
    done = hub.stackgen("users", *arguments)
    assert [name for name, _ in rows(done.stdout)] == ["li", "bo"]
    assert "the hub may have taken these passwords or not" in done.stderr


def test_an_older_list_of_passwords_is_never_overwritten(hub: HubStandIn) -> None:
    (hub.directory / "class.txt").write_text("li\n")
    (hub.directory / "secret.csv").write_text("precious")
    done = hub.stackgen("users", "import", "class.txt", "--output", "secret.csv")
    assert done.returncode == USAGE
    assert "secret.csv is there already" in done.stderr
    assert (hub.directory / "secret.csv").read_text() == "precious"
    assert hub.changes() == []


def test_passwords_are_printed_if_asked_for(hub: HubStandIn) -> None:
    (hub.directory / "class.txt").write_text("li\nbo,correct horse\n")
    done = hub.stackgen("users", "import", "class.txt", "--output", "-")
    [[name, password]] = rows(done.stdout)
    assert (done.returncode, name, len(password)) == (0, "li", 21)
    assert not list(hub.directory.glob("*.csv"))


def test_one_bad_line_keeps_everybody_out_unless_it_is_skipped(hub: HubStandIn) -> None:
    (hub.directory / "class.txt").write_text("li\na/b\nbo,short\n")
    done = hub.stackgen("users", "import", "class.txt")
    assert done.returncode == 1
    messages = [message for message, _ in problems(done.stderr)]
    assert messages[0].startswith("class.txt line 2: the user name 'a/b'")
    assert messages[1:] == ["class.txt line 3: the password is shorter than 8 characters", "nobody was imported"]
    assert hub.asked == []
    done = hub.stackgen("users", "import", "class.txt", "--skip-bad")
    assert done.returncode == 0
    assert "skipped: class.txt line 3: the password is shorter than 8 characters" in done.stderr
    assert "added: 1, there already: 0, bad lines skipped: 2" in done.stderr


def test_a_dry_run_changes_nothing(hub: HubStandIn) -> None:
    hub.people = {"bob": person("bob"), "eve": person("eve", "no password"), "guest": person("guest", "waiting")}
    (hub.directory / "class.txt").write_text("li\nbob\neve\nguest\n")
    done = hub.stackgen("users", "import", "class.txt", "--dry-run")
    assert done.returncode == 0
    signed_up = "guest  signed up, gets another password"
    assert done.stdout.splitlines()[1:] == ["li     new", "eve    new", signed_up, "bob    there already"]
    assert hub.changes() == []
    assert not list(hub.directory.glob("*.csv"))


@pytest.mark.parametrize("arguments", [["import", "class.txt"], ["add", "zhangwei", "--generate"]])
def test_a_roster_wins_over_whoever_signed_up_under_a_name(hub: HubStandIn, arguments: list[str]) -> None:
    """It may be a stranger, who knows the password of the sign-up."""
    hub.people = {"zhangwei": person("zhangwei", "waiting")}
    (hub.directory / "class.txt").write_text("zhangwei\n")
    done = hub.stackgen("users", *arguments)
    assert done.returncode == 0
    assert "zhangwei had signed up: the account has another password now, and is let in" in done.stderr
    [(_, _, body)] = hub.changes()
    assert body["people"][0]["generated"]


def test_people_without_passwords_need_no_file(hub: HubStandIn, provider: HubStandIn) -> None:
    """With a provider's login a roster is a list of those who may come in."""
    (hub.directory / "class.txt").write_text("li\nbo\n")
    done = provider.stackgen("users", "import", "class.txt")
    assert (done.returncode, done.stdout) == (0, "")
    assert hub.changes() == [("POST", "people", {"people": [{"name": "li"}, {"name": "bo"}]})]
    assert not list(hub.directory.glob("*.csv"))


def test_where_groups_are_the_providers_a_roster_with_groups_lets_people_in_all_the_same(hub: HubStandIn) -> None:
    """As in a move from one login to another; --group, which somebody types, is the hub's to refuse."""
    hub.people = {"li": person("li", groups=["one"]), "bo": person("bo", groups=["one", "two"]), "eve": person("eve")}
    assert hub.stackgen("users", "export", "before.csv").returncode == 0
    callback = {"ADMIN_USERS": "ada", "OAUTH_CALLBACK_URL": "https://localhost/hub/oauth_callback"}
    hub.log_in_with({"AUTH": "piculator"} | LOGGED_IN["piculator"] | callback)
    hub.people = {name: person(name, "by provider", account=False) for name in hub.people}
    done = hub.stackgen("users", "import", "before.csv")
    assert done.returncode == 0
    assert hub.changes() == [("POST", "people", {"people": [{"name": "li"}, {"name": "bo"}, {"name": "eve"}]})]
    assert "the groups of 2 people are left out: with AUTH=piculator groups are the provider's" in done.stderr


@pytest.mark.parametrize("name", LOGINS)
def test_stackgen_knows_at_which_logins_the_hub_takes_groups_from_the_provider(name: str) -> None:
    chosen, c = settings(**LOGGED_IN[name], AUTH=name), Config()
    configure_login(c, {key: chosen[key] for key in BY_KEY} | {"AUTHENTICATOR_CLASS": ""})
    assert people.groups_are_the_providers(chosen) == (c.Authenticator.manage_groups is True)


def test_what_is_exported_can_be_imported_and_leaves_out_who_may_not_log_in(hub: HubStandIn) -> None:
    hub.people = {
        "li": person("li", groups=["one", "two"], email="li@example.edu"),
        "guest": person("guest", "waiting"),
        "mallory": person("mallory", "blocked"),
        "eve": person("eve", "no password"),
        "bo": person("bo", groups=["a;b"]),
    }
    done = hub.stackgen("users", "export", "people.csv")
    file = hub.directory / "people.csv"
    assert done.returncode == 0
    assert {name for name in hub.people if f"left out: {name} " in done.stderr} == {"guest", "mallory", "eve", "bo"}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert rows(file.read_text("utf-8-sig"))[1:] == [["li", "", "one;two", "li@example.edu"]]
    assert hub.stackgen("users", "export").stdout == file.read_text("utf-8-sig")
    assert hub.stackgen("users", "export", "people.csv").returncode == USAGE
    assert hub.stackgen("users", "import", "people.csv").returncode == 0


def test_whom_the_providers_rules_let_in_an_export_does_not_let_in_by_name(provider: HubStandIn) -> None:
    provider.people = {name: person(name, "by provider", account=False) for name in ("li", "bo")}
    provider.people["eve"] = person("eve", "allowed", account=False)
    done = provider.stackgen("users", "export")
    assert rows(done.stdout)[1:] == [["eve", "", "", ""]]
    assert done.stderr == "left out: 2 people for whom the provider's groups or ALLOW_ALL decide at each login\n"


def test_one_person_is_added_with_a_password_from_a_pipe(hub: HubStandIn) -> None:
    more = ["--password-stdin", "--group", "one", "--email", "li@example.edu"]
    done = hub.stackgen("users", "add", "Li", *more, stdin="correct horse\n")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "li may log in\n")
    new = {"name": "li", "password": "correct horse", "groups": ["one"], "email": "li@example.edu"}
    assert hub.changes() == [("POST", "people", {"people": [new]})]


def test_several_people_are_added_with_made_passwords(hub: HubStandIn) -> None:
    hub.people = {"bo": person("bo")}
    done = hub.stackgen("users", "add", "li", "bo", "LI", "--generate")
    [[name, password]] = rows(done.stdout)
    assert (done.returncode, name, len(password)) == (0, "li", 21)
    assert "bo was there already, and is active; the password is as it was" in done.stderr


def test_nobody_is_asked_for_a_password_that_is_not_needed(hub: HubStandIn) -> None:
    hub.people = {"bo": person("bo")}
    done = hub.stackgen("users", "add", "bo", "--group", "one")
    assert done.returncode == 0
    assert hub.changes() == [("POST", "people", {"people": [{"name": "bo", "groups": ["one"]}]})]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["users", "add", "li"], "there is no terminal to ask for a password on"),
        (["users", "add", "li", "bo"], "several people cannot share an e-mail address or a password"),
        (["users", "add", "li", "bo", "--generate", "--email", "a@b"], "several people cannot share"),
        (
            ["users", "add", "li", "--generate", "--password-stdin"],
            "--generate and --password-stdin exclude each other",
        ),
        (["users", "add", "a/b", "--generate"], "the user name 'a/b'"),
        (["users", "add", "li", "--email", "nonsense"], "the e-mail address is none"),
        (["users", "add", "li", "--password-stdin"], "the password is shorter than 8 characters"),
        (["users", "passwd", "bo", "--password-stdin"], "the password is shorter than 8 characters"),
        (["users", "alias", "li"], "one thing at a time"),
        (["users", "alias"], "one thing at a time"),
        (["users", "alias", "li", "bo", "--list"], "one thing at a time"),
        (["users", "alias", "li", "bo"], "with AUTH=accounts nobody logs in at a provider"),
    ],
)
def test_a_command_that_cannot_be_meant_changes_nothing(hub: HubStandIn, arguments: list[str], message: str) -> None:
    hub.people = {"bo": person("bo")}
    done = hub.stackgen(*arguments, stdin="short\n")
    assert (done.returncode, done.stdout) == (USAGE, "")
    assert problems(done.stderr)[0][0].startswith(message)
    assert hub.changes() == []


@pytest.mark.parametrize(
    "arguments",
    [["add-admin", "ada", "--generate"], ["users", "add", "li", "--generate"], ["users", "passwd", "li"]],
    ids=lambda arguments: " ".join(arguments),
)
def test_where_passwords_are_a_providers_stackgen_sets_none(provider: HubStandIn, arguments: list[str]) -> None:
    provider.people = {"li": person("li", "allowed", account=False)}
    done = provider.stackgen(*arguments)
    assert done.returncode == USAGE
    assert problems(done.stderr)[0][0].startswith("with AUTH=github passwords are the provider's")
    assert provider.changes() == []


def test_a_new_password_is_set_for_whom_the_hub_knows_and_nobody_else(hub: HubStandIn) -> None:
    hub.people = {"bo": person("bo")}
    done = hub.stackgen("users", "passwd", "Bo", "--generate")
    assert (done.returncode, done.stderr) == (0, "bo has a new password\n")
    assert hub.changes() == [("PATCH", "people/bo", {"password": done.stdout.strip(), "generated": True})]
    done = hub.stackgen("users", "passwd", "ob", "--generate")
    assert (done.returncode, problems(done.stderr)[0][0]) == (1, "there is no user ob")
    assert len(hub.changes()) == 1


@pytest.mark.parametrize("verb", ["allow", "block"])
def test_a_mistyped_name_among_accounts_changes_nobody(hub: HubStandIn, verb: str) -> None:
    hub.people = {"bo": person("bo")}
    done = hub.stackgen("users", verb, "bo", "ob")
    assert (done.returncode, problems(done.stderr)[0][0]) == (1, "there is no user ob")
    assert hub.changes() == []
    assert hub.stackgen("users", verb, "bo").returncode == 0
    assert hub.changes() == [("PATCH", "people/bo", {"rule": verb})]


@pytest.mark.parametrize(("verb", "words"), [("allow", "李雷 may log in\n"), ("block", "李雷 is blocked\n")])
def test_a_providers_people_can_be_named_before_they_come(provider: HubStandIn, verb: str, words: str) -> None:
    done = provider.stackgen("users", verb, "李雷")
    assert (done.returncode, done.stderr) == (0, words)
    assert provider.changes() == [("PATCH", "people/%E6%9D%8E%E9%9B%B7", {"rule": verb})]


def test_an_admin_of_env_is_not_removed_by_the_way(hub: HubStandIn) -> None:
    """The hub would make the user anew when it starts."""
    done = hub.stackgen("users", "remove", "Ada")
    assert (done.returncode, problems(done.stderr)) == (1, [("ada is an admin", "first: stackgen remove-admin ada")])
    assert hub.changes() == []


def test_an_alias_is_made_listed_and_taken_away(provider: HubStandIn) -> None:
    provider.people = {"li": person("li", "by provider")}
    assert provider.stackgen("users", "alias", "li-lei", "Li").stderr == "whoever logs in as li-lei is li\n"
    assert "li2, whom the hub does not know yet" in provider.stackgen("users", "alias", "li-lei", "li2").stderr
    provider.aliases = {"li-lei": "li"}
    assert json.loads(provider.stackgen("users", "alias", "--list", "--json").stdout) == {"li-lei": "li"}
    assert provider.stackgen("users", "alias", "--list").stdout == "login   user\nli-lei  li\n"
    assert provider.stackgen("users", "alias", "--remove", "li-lei").returncode == 0
    assert provider.stackgen("users", "alias", "--remove", "nobody").returncode == 1


def test_people_are_listed(hub: HubStandIn) -> None:
    hub.people = {
        "ada": person("ada", admin=True, last_activity="2026-11-01T08:30:00.1Z", running=True),
        "li": person("li", groups=["one", "two"], email="li@example.edu"),
        "bo": person("bo", "waiting"),
    }
    listed = hub.stackgen("users", "list").stdout.splitlines()
    assert re.split("  +", listed[1]) == ["ada", "active", "admin", "2026-11-01 08:30", "running"]
    assert re.split("  +", listed[2]) == ["li", "active", "one, two", "li@example.edu"]
    assert [item["state"] for item in json.loads(hub.stackgen("users", "list", "--json").stdout)][2] == "waiting"


def test_while_the_hub_is_down_a_command_says_so(hub: HubStandIn) -> None:
    hub.shutdown()
    hub.server_close()
    done = hub.stackgen("users", "list")
    assert (done.returncode, done.stdout) == (1, "")
    assert "the hub does not answer" in done.stderr


def test_nobody_but_a_browser_signs_in_at_a_provider(provider: HubStandIn) -> None:
    done = provider.stackgen("smoke", "--user", "li", "--password-stdin", stdin="correct horse\n")
    assert done.returncode == USAGE
    assert problems(done.stderr)[0][0].startswith("with AUTH=github people sign in at the provider")
    assert provider.asked == []


def known(name: str, state: str, *, account: bool) -> Person:
    return Person(name, False, state, "", (), "", False, (), account)


def test_whoever_has_no_password_yet_gets_one_and_nobody_loses_theirs() -> None:
    states = {"ada": "no password", "bo": "blocked", "eve": "waiting"}
    there = [known(name, state, account=name == "bo") for name, state in states.items()]
    entries = [Entry("ada"), Entry("bo", "correct horse"), Entry("li", "correct horse"), Entry("eve", "correct horse")]
    planned = people.plan(entries, there, passwords=True)
    assert (planned.new, planned.existing, planned.signed_up) == (["ada", "li", "eve"], ["bo"], ["eve"])
    assert [entry.name for entry in planned.generated] == ["ada"]
    assert [entry.password for entry in planned.entries][1:] == ["", "correct horse", "correct horse"]


def test_with_a_provider_those_are_new_whom_no_rule_names() -> None:
    there = [known("ada", "by provider", account=False), known("bo", "allowed", account=False)]
    planned = people.plan([Entry("ada"), Entry("bo")], there, passwords=False)
    assert (planned.new, planned.existing, planned.generated) == (["ada"], ["bo"], [])
