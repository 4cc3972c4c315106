"""Each way to log in: what it needs, which settings contradict it, and what the hub is told of it in the end."""

import importlib.util
import re
from collections.abc import Mapping
from pathlib import Path, PurePath
from types import ModuleType

import pytest
import yaml
from traitlets.config import Config
from unit_support import LOGGED_IN, ROOT, compose, configuration, init, settings

from stackgen import envfile
from stackgen.errors import SETTINGS, StackgenError
from stackgen.logins import LOGINS
from stackgen.reference import logins_table
from stackgen.render import render
from stackgen.settings import Settings
from stackgen.settings_table import BY_KEY
from tests.conftest import stackgen

HERE = PurePath("/srv/stack")

login = pytest.mark.parametrize("name", LOGINS)


def chosen(name: str, without: str = "", **more: str) -> Settings:
    """Settings of a working .env for this login, less one of them, and with some more."""
    stored = {"AUTH": name} | LOGGED_IN[name] | more
    return settings(**{key: value for key, value in stored.items() if key != without})


def refused(name: str, without: str = "", **more: str) -> list[tuple[str, str]]:
    """What is said to be wrong with such a .env: each message with its hint."""
    with pytest.raises(StackgenError) as error:
        chosen(name, without, **more)
    assert error.value.exit_code == SETTINGS
    return [(problem.message, problem.hint) for problem in error.value.problems]


def messages(name: str, without: str = "", **more: str) -> list[str]:
    """The messages alone; each has a hint."""
    found = refused(name, without, **more)
    assert all(hint for _, hint in found)
    return [message for message, _ in found]


# --- The table ------------------------------------------------------------------------------------------------------


def test_the_table_speaks_of_settings_that_exist() -> None:
    assert LOGINS.keys() == LOGGED_IN.keys() == set(BY_KEY["AUTH"].choices)
    for name, entry in LOGINS.items():
        assert entry.name == name
        assert set(entry.settings) <= BY_KEY.keys()
        assert len(set(entry.settings)) == len(entry.settings)
        assert not entry.passwords or not entry.oauth


def test_every_setting_of_a_login_belongs_to_one() -> None:
    """No setting of the table's login sections is without effect everywhere."""
    keys = list(BY_KEY)
    section = set(keys[keys.index("AUTH") : keys.index("MEM_LIMIT")])
    assert section - {"AUTH", "ADMIN_USERS", "OAUTH_CALLBACK_URL"} == {
        key for entry in LOGINS.values() for key in entry.settings
    }


def test_init_names_every_login_in_its_help() -> None:
    shown = " ".join(re.sub("[│|]", " ", stackgen("init", "--help", COLUMNS="200").stdout).split())
    assert all(re.search(rf"\b{name}\b", shown) for name in LOGINS)


# --- What is missing ------------------------------------------------------------------------------------------------


@login
def test_a_login_works_with_what_it_needs_and_not_without(name: str) -> None:
    assert chosen(name).login is LOGINS[name]
    for key in LOGINS[name].needs:
        assert refused(name, without=key) == [
            (f"AUTH={name} needs {key}", f"set {key} in .env; .env.example says what it is")
        ]


@login
def test_settings_of_another_login_may_stay_in_env(name: str) -> None:
    """Whoever tries another login keeps what the first one needed."""
    rules = {"ALLOW_SIGNUP", "ALLOW_ALL", "ALLOWED_GROUPS", "ADMIN_GROUPS"}
    left_over = {key: value for other in LOGGED_IN.values() for key, value in other.items() if key not in rules}
    assert settings(**left_over | {"AUTH": name} | LOGGED_IN[name]).login.name == name


def test_ldap_needs_exactly_one_way_to_find_users() -> None:
    bind = {"LDAP_BIND_DN": "uid={username},dc=edu"}
    anonymous = {"LDAP_SEARCH_USER": "", "LDAP_SEARCH_PASSWORD": ""}
    assert chosen("ldap", LDAP_SEARCH_BASE="", **bind, **anonymous)
    assert chosen("ldap", **anonymous)
    assert messages("ldap", **bind) == ["AUTH=ldap needs either LDAP_BIND_DN or LDAP_SEARCH_BASE, not both"]
    assert messages("ldap", LDAP_SEARCH_BASE="", **anonymous) == [
        "AUTH=ldap needs either LDAP_BIND_DN or LDAP_SEARCH_BASE"
    ]
    assert messages("ldap", without="LDAP_SEARCH_USER") == ["LDAP_SEARCH_PASSWORD is set alone"]
    assert messages("ldap", without="LDAP_SEARCH_PASSWORD") == ["LDAP_SEARCH_USER is set alone"]
    assert messages("ldap", without="LDAP_SEARCH_BASE", **bind) == [
        "LDAP_SEARCH_USER has no effect without LDAP_SEARCH_BASE"
    ]
    assert messages("ldap", ALLOWED_GROUPS="teachers,students;cn=a,dc=edu") == [
        "ALLOWED_GROUPS: teachers,students is no DN"
    ]


# --- Who may log in -------------------------------------------------------------------------------------------------


@login
@pytest.mark.parametrize(
    ("key", "value", "known"),
    [
        ("ALLOW_SIGNUP", "true", {"accounts"}),
        ("ALLOW_ALL", "true", LOGINS.keys() - {"accounts", "pam"}),
        ("ALLOWED_GROUPS", "a=b", {"piculator", "oidc", "github", "gitlab", "azuread", "ldap"}),
        ("ADMIN_GROUPS", "a", {"piculator", "oidc", "azuread"}),
    ],
)
def test_a_rule_that_would_be_believed_and_has_no_effect_is_refused(
    name: str, key: str, value: str, known: set[str]
) -> None:
    rules = {"ALLOW_ALL": "", "ALLOWED_GROUPS": "", "ADMIN_GROUPS": "", "ALLOW_SIGNUP": "", "ADMIN_USERS": "ada"}
    if name in known:
        assert chosen(name, **rules | {key: value})[key] == value
        return
    [(message, hint)] = refused(name, **rules | {key: value})
    assert message.startswith(f"{key} has no effect with AUTH={name}: ")
    assert hint == f"leave {key} out"


@pytest.mark.parametrize("name", [name for name, entry in LOGINS.items() if "ALLOWED_GROUPS" in entry.takes])
def test_groups_that_restrict_nobody_are_refused(name: str) -> None:
    assert messages(name, ALLOW_ALL="true", ALLOWED_GROUPS="cn=a") == [
        "ALLOW_ALL=true lets in everybody, so ALLOWED_GROUPS would restrict nobody"
    ]


@pytest.mark.parametrize("name", [name for name, entry in LOGINS.items() if entry.provider])
def test_a_provider_whose_users_nothing_lets_in_is_refused(name: str) -> None:
    nothing = {"ALLOW_ALL": "false", "ALLOWED_GROUPS": "", "ADMIN_GROUPS": "", "ADMIN_USERS": ""}
    [(message, hint)] = refused(name, **nothing)
    assert message == f"AUTH={name}: nobody may log in"
    assert ("ALLOWED_GROUPS" in hint) == ("ALLOWED_GROUPS" in LOGINS[name].takes)
    assert "stackgen users allow" in hint
    assert chosen(name, **nothing | {"ADMIN_USERS": "ada"}), "others are let in by name"
    assert chosen(name, **nothing | {"ALLOW_ALL": "true"})


@pytest.mark.parametrize("name", ["accounts", "pam"])
def test_with_passwords_of_our_own_everybody_with_an_account_may_log_in(name: str) -> None:
    assert settings(AUTH=name).login.passwords


# --- Where the provider sends users back ----------------------------------------------------------------------------

CALLBACK = "/hub/oauth_callback"


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, f"https://localhost{CALLBACK}"),
        ({"DOMAIN": "a.edu", "HTTPS_PORT": "8443"}, f"https://a.edu:8443{CALLBACK}"),
        ({"DOMAIN": "a.edu", "HTTPS_PORT": "443"}, f"https://a.edu{CALLBACK}"),
        ({"DOMAIN": "a.edu", "OAUTH_CALLBACK_URL": f"https://a.edu:444{CALLBACK}"}, f"https://a.edu:444{CALLBACK}"),
        (
            {"DOMAIN": "a.edu", "TLS": "off", "OAUTH_CALLBACK_URL": f"https://a.edu{CALLBACK}"},
            f"https://a.edu{CALLBACK}",
        ),
        ({"TLS": "off", "OAUTH_CALLBACK_URL": f"http://localhost{CALLBACK}"}, f"http://localhost{CALLBACK}"),
    ],
)
def test_the_hub_is_told_the_address_that_is_to_be_registered(
    more: dict[str, str], expected: str, tmp_path: Path
) -> None:
    """What `init` says, and what Compose makes of compose.yaml, are the same."""
    given = {"AUTH": "github"} | LOGGED_IN["github"] | more
    assert settings(**given).callback_url == expected
    init(tmp_path / "stack", **given)
    assert configuration(tmp_path / "stack")["services"]["hub"]["environment"]["OAUTH_CALLBACK_URL"] == expected


def test_the_address_follows_a_domain_that_was_edited_in_env(tmp_path: Path) -> None:
    """Whoever edits DOMAIN and forgets `stackgen render` does not send users to the old one."""
    init(tmp_path, DOMAIN="old.edu", AUTH="github", **LOGGED_IN["github"])
    env = tmp_path / ".env"
    envfile.write(env, env.read_text().replace("old.edu", "new.edu"))
    told = configuration(tmp_path)["services"]["hub"]["environment"]["OAUTH_CALLBACK_URL"]
    assert told == f"https://new.edu{CALLBACK}" == Settings(envfile.read(env)).callback_url


@pytest.mark.parametrize("name", [name for name, entry in LOGINS.items() if entry.oauth])
def test_an_address_that_cannot_work_is_refused(name: str) -> None:
    def said(url: str, **more: str) -> list[str]:
        return messages(name, DOMAIN="a.edu", OAUTH_CALLBACK_URL=url, **more)

    assert said(f"https://b.edu{CALLBACK}") == ["OAUTH_CALLBACK_URL leads to b.edu, but DOMAIN is a.edu"]
    assert said(f"http://a.edu{CALLBACK}") == ["OAUTH_CALLBACK_URL is http, but TLS=self-signed serves https"]
    for path in ("", "/", "/hub/oauth_callback/", "/oauth_callback", "/?x=/hub/oauth_callback"):
        assert said(f"https://a.edu{path}") == ["OAUTH_CALLBACK_URL does not end in /hub/oauth_callback"]
    assert len(said("http://b.edu/")) == 3
    assert messages(name, TLS="off") == [f"AUTH={name} needs OAUTH_CALLBACK_URL"]


def test_an_address_that_nobody_uses_is_nobodys_business() -> None:
    assert settings(AUTH="accounts", OAUTH_CALLBACK_URL="http://b.edu/")
    assert chosen("ldap", TLS="off")


# --- What the hub is told -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def hub_logins() -> ModuleType:
    """The hub's own module that turns this environment into JupyterHub's settings."""
    path = ROOT / "images/hub/stackgen_hub/logins.py"
    spec = importlib.util.spec_from_file_location("hub_logins_under_test", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@login
def test_the_hub_is_told_what_its_login_takes_and_nothing_else(
    name: str, tmp_path: Path, hub_logins: ModuleType
) -> None:
    """From .env through Compose into JupyterHub's configuration, without a key that one side lacks."""
    given = {"AUTH": name} | LOGGED_IN[name]
    init(tmp_path, **given)
    done = compose(tmp_path, "config", "--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    told: Mapping[str, str] = configuration(tmp_path)["services"]["hub"]["environment"]
    entry = LOGINS[name]
    assert (told["AUTH"], told["AUTHENTICATOR_CLASS"]) == (name, entry.authenticator)
    assert {key: told[key] for key in entry.settings} == {
        key: value for key, value in settings(**given).items() if key in entry.settings
    }
    of_logins = {key for other in LOGINS.values() for key in other.settings} | {"OAUTH_CALLBACK_URL", "CRYPT_KEY"}
    extra = {"OAUTH_CALLBACK_URL", "CRYPT_KEY"} if entry.oauth else set()
    assert told.keys() & of_logins == set(entry.settings) | extra
    assert "ADMIN_USERS" not in told
    c = Config()
    hub_logins.configure_login(c, told)
    assert c.JupyterHub.authenticator_class == entry.authenticator
    assert c.Authenticator.allow_all == (told.get("ALLOW_ALL") == "true")


def test_the_accounts_of_pam_survive_in_a_volume_that_no_other_login_has() -> None:
    for name in LOGINS:
        shown = yaml.safe_load(render(chosen(name), HERE)["compose.yaml"])
        mounts = shown["services"]["hub"]["volumes"]
        assert ("pam-accounts:/var/lib/extrausers" in mounts) == (name == "pam")
        assert shown["volumes"].get("pam-accounts", {}).get("name") == (
            "${STACK_NAME:-stackgen}-pam-accounts" if name == "pam" else None
        )


# --- docs/logins.md -------------------------------------------------------------------------------------------------

PAGE = (ROOT / "docs/logins.md").read_text(encoding="utf-8")


def test_the_page_about_logins_is_current() -> None:
    """If this fails: put stackgen.reference.logins_table() into docs/logins.md."""
    assert logins_table() in PAGE
    assert re.findall(r"^## (\w+)$", PAGE, flags=re.MULTILINE) == list(LOGINS)


@login
def test_the_example_of_each_login_may_be_copied(name: str) -> None:
    [example] = re.findall(rf"^```\n(AUTH={name}\n.*?)```", PAGE, flags=re.MULTILINE | re.DOTALL)
    assert settings(**envfile.parse(example)).login.name == name


def test_the_other_ldap_example_may_be_copied_too() -> None:
    [searched] = re.findall(r"^```\n(LDAP_SEARCH_BASE=.*?)```", PAGE, flags=re.MULTILINE | re.DOTALL)
    assert chosen("ldap", **envfile.parse(searched))
