"""What an operator does with people, against the real hub: a roster comes in, somebody leaves, passwords change."""

import csv
import json
import stat
import subprocess
from pathlib import Path
from typing import Any

from login_support import HubBrowser, newcomers

from stackgen.errors import StackgenError
from stackgen.smoke import Browser
from tests import logins
from tests.conftest import RunningStack, docker, stackgen


def users(stack: RunningStack, *arguments: str | Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """`stackgen users ...`, which must work."""
    done = stackgen("users", *arguments, "-C", stack.directory, stdin=stdin)
    assert done.returncode == 0, done.stderr
    return done


def listed(stack: RunningStack) -> dict[str, dict[str, Any]]:
    """Everybody, as `users list --json` shows them, by name."""
    return {person["name"]: person for person in json.loads(users(stack, "list", "--json").stdout)}


def can_sign_in(stack: RunningStack, name: str, password: str) -> bool:
    try:
        Browser(stack.front, name).sign_in(password)
    except StackgenError:
        return False
    return True


def volumes_of(stack: RunningStack, name: str) -> list[str]:
    return docker("volume", "ls", "-q", "--filter", f"name=^{stack.settings['VOLUME_PREFIX']}{name}$").split()


def test_a_class_comes_in_as_excel_in_china_writes_it_and_everybody_can_log_in(
    stack: RunningStack, tmp_path: Path
) -> None:
    roster, made = tmp_path / "班级.csv", tmp_path / "made.csv"
    lines = ["学号,密码,班级,邮箱", "S001,,代数;全体,s001@example.edu", "李雷,correct horse 9,代数,", "", "s002,,,"]
    roster.write_bytes("\r\n".join(lines).encode("gb18030"))
    said = users(stack, "import", roster, "--output", made).stderr
    assert "added: 3, there already: 0" in said
    assert stat.S_IMODE(made.stat().st_mode) == 0o600
    passwords = {row["username"]: row["password"] for row in csv.DictReader(made.open(encoding="utf-8-sig"))}
    assert passwords.keys() == {"s001", "s002"}  # the third one's is known to whoever wrote the roster
    for name, password in {**passwords, "李雷": "correct horse 9"}.items():
        assert can_sign_in(stack, name, password)
        assert password not in stack.compose("logs", "hub")
    people = listed(stack)
    assert people["s001"]["groups"] == ["代数", "全体"]
    assert people["s001"]["email"] == "s001@example.edu"
    assert people["李雷"]["state"] == "active"
    # once more, with one new person: nobody's password changes
    roster.write_bytes("\r\n".join([*lines, "s003,,,"]).encode("gb18030"))
    said = users(stack, "import", roster, "--output", tmp_path / "more.csv").stderr
    assert "added: 1, there already: 3" in said
    assert can_sign_in(stack, "s001", passwords["s001"])
    # what comes out goes in again
    exported = tmp_path / "exported.csv"
    users(stack, "export", exported)
    assert "added: 0" in users(stack, "import", exported).stderr
    users(stack, "remove", "s001", "s002", "s003", "李雷")


def test_a_bad_line_keeps_everybody_out_unless_it_is_skipped(stack: RunningStack, tmp_path: Path) -> None:
    roster, made = tmp_path / "roster.csv", tmp_path / "made.csv"
    roster.write_text("good1\nbad/name\ngood2,short\nGOOD1\ngood3\n")
    done = stackgen("users", "import", roster, "--output", made, "-C", stack.directory)
    assert done.returncode == 1
    for words in ("line 2:", "line 3: the password is shorter", "line 4: GOOD1 is the same person as good1 on line 1"):
        assert words in done.stderr
    assert not made.exists()
    assert not {"good1", "good2", "good3"} & listed(stack).keys()
    users(stack, "import", roster, "--output", made, "--skip-bad")
    assert {"good1", "good3"} <= listed(stack).keys()
    users(stack, "remove", "good1", "good3")


def test_a_roster_wins_over_a_stranger_who_signed_up_under_a_name(stack: RunningStack, tmp_path: Path) -> None:
    """The stranger's password opens nothing, not even when somebody lets zhangwei in later."""
    roster, made = tmp_path / "roster.csv", tmp_path / "made.csv"
    roster.write_text("zhangwei\n")
    with logins.login(stack, ALLOW_SIGNUP="true"), newcomers(stack):
        stranger = HubBrowser(stack.front, "zhangwei", "of a stranger")
        form = {"signup_password": stranger.password, "signup_password_confirmation": stranger.password}
        stranger.submit("signup", username="zhangwei", **form)
        assert listed(stack)["zhangwei"]["state"] == "waiting"
        assert "zhangwei had signed up" in users(stack, "import", roster, "--output", made).stderr
        users(stack, "allow", "zhangwei")
        stranger.refused(stranger.attempt(), 403, "Invalid username or password")
        [row] = csv.DictReader(made.open(encoding="utf-8-sig"))
        assert can_sign_in(stack, "zhangwei", row["password"])


def test_what_only_the_hub_can_judge_is_refused_as_a_whole_too(stack: RunningStack, tmp_path: Path) -> None:
    """A password from the list of those that are tried first: nobody is added, and no file of passwords is left."""
    roster, made = tmp_path / "roster.csv", tmp_path / "made.csv"
    roster.write_text("anna\nberta,password123\n")
    done = stackgen("users", "import", roster, "--output", made, "-C", stack.directory)
    assert done.returncode == 1
    assert "berta: the password is one of the most common ones" in done.stderr
    assert "password123" not in done.stderr
    assert not made.exists()
    assert not {"anna", "berta"} & listed(stack).keys()


def test_five_hundred_people_come_in_with_one_command(stack: RunningStack, tmp_path: Path) -> None:
    roster, made = tmp_path / "roster.csv", tmp_path / "made.csv"
    names = [f"student{number:03}" for number in range(500)]
    roster.write_text("\n".join(names))
    users(stack, "import", roster, "--output", made)
    assert set(names) <= listed(stack).keys()
    rows = list(csv.DictReader(made.open(encoding="utf-8-sig")))
    assert len({row["password"] for row in rows}) == 500
    assert can_sign_in(stack, rows[499]["username"], rows[499]["password"])
    users(stack, "remove", *names)
    assert not set(names) & listed(stack).keys()


def test_whoever_leaves_leaves_the_volume_until_it_is_destroyed_by_name(stack: RunningStack) -> None:
    password = stack.user("leaver")
    browser = Browser(stack.front, "leaver")
    browser.sign_in(password)
    browser.start_server()
    [volume] = volumes_of(stack, "leaver")
    said = users(stack, "remove", "leaver").stderr
    assert f"the volume {volume} is kept" in said
    assert not docker("ps", "-aq", "--filter", f"name={stack.name}-leaver")
    assert not can_sign_in(stack, "leaver", password)
    assert volumes_of(stack, "leaver") == [volume]
    refused = stackgen("users", "remove", "leaver", "--volume", "-C", stack.directory)
    assert refused.returncode == 2
    assert "--yes" in refused.stderr
    assert volumes_of(stack, "leaver") == [volume]
    users(stack, "remove", "leaver", "--volume", "--yes")
    assert volumes_of(stack, "leaver") == []
    assert "leaver" not in listed(stack)


def test_a_new_password_ends_every_session_with_the_old_one(stack: RunningStack) -> None:
    stack.user("forgetful")
    old = users(stack, "passwd", "forgetful", "--generate").stdout.strip()
    browser = Browser(stack.front, "forgetful")
    browser.sign_in(old)
    assert browser.hub_api("GET", "/user").json()["name"] == "forgetful"
    new = users(stack, "passwd", "forgetful", "--generate").stdout.strip()
    assert browser.hub_api("GET", "/user").status_code == 403
    assert not can_sign_in(stack, "forgetful", old)
    assert can_sign_in(stack, "forgetful", new)
    users(stack, "remove", "forgetful")


def test_one_person_is_added_with_groups_and_an_address(stack: RunningStack) -> None:
    """Typed with the full-width letters of a Chinese keyboard."""
    options = ("--password-stdin", "--group", "lab", "--email", "z@example.edu")
    users(stack, "add", "\uff3aoe", *options, stdin="seven seas 7\n")
    person = listed(stack)["zoe"]
    assert (person["groups"], person["email"], person["admin"]) == (["lab"], "z@example.edu", False)
    assert can_sign_in(stack, "zoe", "seven seas 7")
    users(stack, "remove", "zoe")


def test_with_the_stack_down_people_cannot_be_changed_and_the_way_out_is_named(
    stack: RunningStack, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    assert stackgen("init", other, "--set", f"STACK_NAME={stack.name}down").returncode == 0
    done = stackgen("users", "list", "-C", other)
    assert done.returncode == 1
    assert done.stderr == "error: the stack is not running\nhint: start it: stackgen up\n"
