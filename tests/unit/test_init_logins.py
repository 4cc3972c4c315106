"""`stackgen init` with another login than accounts: what it asks, what it says is missing, and how it takes secrets."""

import re
from pathlib import Path

import pytest
from test_init import QUESTION, TOKENS, Terminal, answers
from unit_support import LOGGED_IN, problems

from stackgen import envfile
from stackgen.errors import SETTINGS, USAGE
from stackgen.logins import LOGINS
from stackgen.settings_table import BY_KEY, TABLE
from tests.conftest import stackgen

COMMON = [("Domain", "localhost"), ("Language", "en"), ("TLS mode", "self-signed"), ("Login method", "accounts")]
HOST = ("a.edu", "", "")  # the answers before the login method: domain, language, TLS


def asked(terminal: Terminal) -> list[tuple[str, str]]:
    """The questions with what they offer, without those that every login has."""
    questions = QUESTION.findall(terminal.seen)
    assert questions[:4] == COMMON
    assert questions[-1] == ("Memory per user", "500M")
    return questions[4:-1]


def stored(directory: Path) -> dict[str, str]:
    """What .env holds, less the generated secrets."""
    return {key: value for key, value in envfile.read(directory / ".env").items() if key not in TOKENS}


# --- With a terminal ------------------------------------------------------------------------------------------------


def test_piculator_is_asked_for_what_it_needs_and_who_may_log_in(tmp_path: Path) -> None:
    typed = ("piculator", "https://piculator.example.edu", "sage", "hunter2", "", "members,guests", "ada")
    terminal, code = answers(tmp_path, *HOST, *typed)
    assert code == 0
    assert asked(terminal) == [
        ("PICULATOR_URL", ""), ("OAUTH_CLIENT_ID", ""), ("OAUTH_CLIENT_SECRET", ""), ("ALLOW_ALL", "false"),
        ("ALLOWED_GROUPS", ""), ("First admin", ""),
    ]  # fmt: skip
    assert stored(tmp_path) == {
        "DOMAIN": "a.edu", "AUTH": "piculator", "PICULATOR_URL": "https://piculator.example.edu",
        "OAUTH_CLIENT_ID": "sage", "OAUTH_CLIENT_SECRET": "hunter2", "ALLOWED_GROUPS": "members,guests",
        "ADMIN_USERS": "ada",
    }  # fmt: skip
    assert "hunter2" not in terminal.seen, "a secret is not shown"
    assert "Register this address at Piculator: https://a.edu/hub/oauth_callback\n" in terminal.seen


def test_whoever_lets_in_everybody_is_not_asked_for_groups(tmp_path: Path) -> None:
    terminal, code = answers(tmp_path, *HOST, "github", "sage", "hunter2", "true", "")
    assert code == 0
    assert [key for key, _ in asked(terminal)] == [
        "OAUTH_CLIENT_ID", "OAUTH_CLIENT_SECRET", "ALLOW_ALL", "First admin",
    ]  # fmt: skip
    assert "ADMIN_USERS" not in stored(tmp_path), "no name is an admin's that the operator did not type"
    assert "stackgen add-admin NAME" in terminal.seen


def test_a_login_that_knows_no_groups_is_not_asked_for_them_and_somebody_must_get_in(tmp_path: Path) -> None:
    terminal, code = answers(tmp_path, *HOST, "google", "sage", "hunter2", "false", "", "ada")
    assert code == 0
    assert [key for key, _ in asked(terminal)] == [
        "OAUTH_CLIENT_ID", "OAUTH_CLIENT_SECRET", "ALLOW_ALL", "First admin", "First admin",
    ]  # fmt: skip
    assert "ADMIN_USERS is needed\n" in terminal.seen
    assert stored(tmp_path)["ADMIN_USERS"] == "ada"


def test_ldap_is_asked_for_one_of_the_two_ways_to_find_users(tmp_path: Path) -> None:
    terminal, code = answers(tmp_path / "one", *HOST, "ldap", "ldap.edu", "uid={username},dc=edu", "true")
    assert code == 0
    assert [key for key, _ in asked(terminal)] == ["LDAP_SERVER", "LDAP_BIND_DN", "ALLOW_ALL", "First admin"]
    terminal, code = answers(tmp_path / "two", *HOST, "ldap", "ldap.edu", "", "", "dc=edu", "true")
    assert code == 0
    assert [key for key, _ in asked(terminal)] == [
        "LDAP_SERVER", "LDAP_BIND_DN", "LDAP_SEARCH_BASE", "LDAP_SEARCH_BASE", "ALLOW_ALL", "First admin",
    ]  # fmt: skip
    assert stored(tmp_path / "two")["LDAP_SEARCH_BASE"] == "dc=edu"
    assert "Register" not in terminal.seen


def test_behind_another_proxy_the_address_for_the_provider_is_asked_for(tmp_path: Path) -> None:
    url = "https://a.edu/hub/oauth_callback"
    terminal, code = answers(tmp_path, "a.edu", "", "off", "github", "sage", "hunter2", url, "true")
    assert code == 0
    assert "OAUTH_CALLBACK_URL" in [key for key, _ in asked(terminal)]
    assert f"Register this address at GitHub: {url}\n" in terminal.seen


def test_pam_asks_no_more_than_accounts(tmp_path: Path) -> None:
    terminal, code = answers(tmp_path, *HOST, "pam")
    assert code == 0
    assert asked(terminal) == [("First admin", "admin")]


def test_what_the_command_line_says_is_not_asked(tmp_path: Path) -> None:
    (tmp_path / "client.env").write_text("OAUTH_CLIENT_SECRET=hunter2\n")
    terminal = Terminal(
        tmp_path / "stack", "--auth", "github", "--admin", "ada", "--set", "OAUTH_CLIENT_ID=sage", "--set",
        "ALLOWED_GROUPS=our-school", "--secrets", str(tmp_path / "client.env"),
    )  # fmt: skip
    while terminal.question() is not None:
        terminal.type("\n")
    assert terminal.end() == 0
    assert [key for key, _ in QUESTION.findall(terminal.seen)] == ["Domain", "Language", "TLS mode", "Memory per user"]


def test_ctrl_d_at_a_secret_writes_nothing(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path / "stack", "--auth", "github", "--set", "OAUTH_CLIENT_ID=sage")
    while not (terminal.question() or "").endswith("OAUTH_CLIENT_SECRET []: "):
        terminal.type("\n")
    terminal.type("\x04")
    assert terminal.end() == USAGE
    assert "the answers ended early" in terminal.seen
    assert not (tmp_path / "stack").exists()


# --- Without one ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name, entry in LOGINS.items() if entry.needs])
def test_with_no_terminal_each_missing_setting_is_named_with_its_flag(name: str, tmp_path: Path) -> None:
    done = stackgen("init", tmp_path / "stack", "--auth", name)
    assert done.returncode == USAGE
    assert problems(done.stderr) == [
        (
            f"AUTH={name} needs {key}",
            "give it with "
            + (f"--secrets FILE, with a line {key}=... in it" if BY_KEY[key].secret else f"--set {key}=..."),
        )
        for key in LOGINS[name].needs
    ]
    assert not (tmp_path / "stack").exists()


@pytest.mark.parametrize("name", LOGINS)
def test_every_login_can_be_set_up_without_a_terminal(name: str, tmp_path: Path) -> None:
    chosen = LOGGED_IN[name] | {"AUTH": name}
    words = [word for key, value in chosen.items() if not BY_KEY[key].secret for word in ("--set", f"{key}={value}")]
    secret = "".join(f"{key}='{value}'\n" for key, value in chosen.items() if BY_KEY[key].secret)
    done = stackgen("init", tmp_path, *words, "--secrets", "-", stdin=f"# from the provider\n{secret}")
    assert (done.returncode, done.stdout) == (0, "")
    defaults = {setting.key: setting.default for setting in TABLE}
    assert stored(tmp_path) == {key: value for key, value in chosen.items() if value != defaults[key]}
    register = re.findall(r"^Register this address at .*: (.*)$", done.stderr, flags=re.MULTILINE)
    assert register == (["https://localhost/hub/oauth_callback"] if LOGINS[name].oauth else [])


def test_who_may_log_in_must_be_said(tmp_path: Path) -> None:
    (tmp_path / "client.env").write_text("OAUTH_CLIENT_SECRET=hunter2\n")
    words = ("--auth", "github", "--set", "OAUTH_CLIENT_ID=sage", "--secrets", tmp_path / "client.env")
    done = stackgen("init", tmp_path / "stack", *words)
    assert done.returncode == SETTINGS
    assert [message for message, _ in problems(done.stderr)] == ["AUTH=github: nobody may log in"]
    assert not (tmp_path / "stack").exists()


@pytest.mark.parametrize("key", [setting.key for setting in TABLE if setting.secret])
def test_no_secret_is_taken_from_the_command_line(key: str, tmp_path: Path) -> None:
    done = stackgen("init", tmp_path / "stack", "--set", f"{key}=hunter2")
    assert done.returncode == USAGE
    [(message, hint)] = problems(done.stderr)
    assert message.startswith(f"--set {key}: it is a secret")
    assert f"write {key}=... into a file, and name that with --secrets FILE" in hint
    assert "hunter2" not in done.stderr
    assert not (tmp_path / "stack").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hunter2\n", "--secrets -: as a .env line 1: it is not of the form KEY=value"),
        ("OAUTH_CLIENT_SECRET='hunter2\n", "--secrets -: as a .env line 1: the value of OAUTH_CLIENT_SECRET has"),
        ("OAUTH_CLIENT_SECRET=hunter2\nDOMAIN=a.edu\n", "--secrets -: DOMAIN is no secret"),
        ("CLIENT_SECRET=hunter2\n", "CLIENT_SECRET is not a setting"),
    ],
)
def test_a_bad_file_of_secrets_is_refused_and_not_repeated(text: str, message: str, tmp_path: Path) -> None:
    done = stackgen("init", tmp_path / "stack", "--secrets", "-", stdin=text)
    assert done.returncode == USAGE
    assert problems(done.stderr)[0][0].startswith(message)
    assert "hunter2" not in done.stderr
    assert not (tmp_path / "stack").exists()


def test_a_file_of_secrets_that_is_not_there_is_said(tmp_path: Path) -> None:
    done = stackgen("init", tmp_path / "stack", "--secrets", tmp_path / "absent")
    assert done.returncode == USAGE
    assert problems(done.stderr)[0][0] == f"--secrets {tmp_path}/absent: No such file or directory"
