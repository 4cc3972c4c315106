"""The first command that anybody runs: it asks little, never guesses silently, and may be interrupted and repeated."""

import os
import pty
import re
import select
import signal
import stat
import subprocess
from pathlib import Path

import pytest
from unit_support import clean_environment, contents, init, problems

from stackgen import envfile
from stackgen.errors import SETTINGS, USAGE
from stackgen.settings import Settings
from stackgen.settings_table import TABLE
from tests.conftest import STACKGEN, stackgen

TOKENS = {"PROXY_TOKEN", "HUB_API_TOKEN", "CRYPT_KEY"}
QUESTION = re.compile(r"^([A-Z][\w ]+?)(?: \([^)]*\))? \[([^\]]*)\]: ", re.MULTILINE)


class Terminal:
    """`stackgen init` on a terminal, as a person sees it."""

    def __init__(self, directory: Path, *arguments: str) -> None:
        self.seen = ""
        self.master, slave = pty.openpty()
        argv = [STACKGEN, "init", str(directory), *arguments]
        self.process = subprocess.Popen(
            argv, stdin=slave, stdout=slave, stderr=slave, env=clean_environment(), start_new_session=True,
            preexec_fn=lambda: os.close(os.open(os.ttyname(0), os.O_RDWR)),  # its controlling terminal
        )  # fmt: skip
        os.close(slave)

    def question(self) -> str | None:
        """Read on until the next question; None if the command ends instead."""
        text = ""
        while True:
            ready, _, _ = select.select([self.master], [], [], 30)
            assert ready, f"it hangs after: {text}"
            try:
                piece = os.read(self.master, 4096).decode()
            except OSError:  # the other end is closed
                piece = ""
            text += piece.replace("\r\n", "\n")
            self.seen += piece.replace("\r\n", "\n")
            if not piece:
                return None
            if text.endswith("]: "):
                return text

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def end(self) -> int:
        """Read what is left; the exit code."""
        while self.question() is not None:
            pass
        os.close(self.master)
        return self.process.wait(timeout=30)


def answers(directory: Path, *typed: str) -> tuple[Terminal, int]:
    """Type these answers, one for each question, then Return to all others."""
    terminal = Terminal(directory)
    rest = list(typed)
    while terminal.question() is not None:
        terminal.type((rest.pop(0) if rest else "") + "\n")
    return terminal, terminal.end()


def test_without_a_terminal_nothing_is_asked_and_the_defaults_hold(tmp_path: Path) -> None:
    done = stackgen("init", tmp_path / "stack", stdin="example.edu\nzh\n")
    assert (done.returncode, done.stdout) == (0, "")
    assert not QUESTION.search(done.stderr)
    stored = envfile.read(tmp_path / "stack/.env")
    assert stored.keys() == TOKENS, "defaults are not stored, so that an upgrade can move them"
    assert Settings(stored).url == "https://localhost/"


def test_it_says_what_to_do_next(tmp_path: Path) -> None:
    done = stackgen("init", tmp_path / "stack", "--admin", "Ada", "--domain", "a.edu")
    assert done.stderr == (
        f"\nThe stack is in {tmp_path}/stack. Next:\n\n  cd {tmp_path}/stack\n  docker compose up -d --wait\n"
        "  stackgen add-admin ada\n\nthen open https://a.edu/\n"
    )
    done = stackgen("init", cwd=tmp_path)
    assert "  stackgen add-admin NAME\n" in done.stderr
    assert "cd " not in done.stderr


def test_flags_answer_the_questions(tmp_path: Path) -> None:
    init(
        tmp_path, "--domain", "a.edu", "--tls", "off", "--auth", "accounts", "--admin", "Ada,bob", "--memory", "1G",
        "--language", "zh", "--set", "HTTP_PORT=8080", "--set", "APT_MIRROR=http://10.0.0.7/debian?a=b",
    )  # fmt: skip
    stored = envfile.read(tmp_path / ".env")
    assert {key: value for key, value in stored.items() if key not in TOKENS} == {
        "DOMAIN": "a.edu", "TLS": "off", "ADMIN_USERS": "Ada,bob", "MEM_LIMIT": "1G", "STACK_LANGUAGE": "zh",
        "HTTP_PORT": "8080", "APT_MIRROR": "http://10.0.0.7/debian?a=b",
    }  # fmt: skip


def test_secrets_are_made_long_different_and_for_the_owner_alone(tmp_path: Path) -> None:
    init(tmp_path / "one")
    init(tmp_path / "two")
    found = [value for name in ("one", "two") for value in envfile.read(tmp_path / name / ".env").values()]
    assert len(set(found)) == 6
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{43}", secret) for secret in found)
    assert stat.S_IMODE((tmp_path / "one/.env").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("arguments", "exit_code", "message"),
    [
        (["--set", "MEMLIMIT=1G"], USAGE, "MEMLIMIT is not a setting"),
        (["--set", "MEM_LIMIT"], USAGE, "--set MEM_LIMIT: not of the form KEY=VALUE"),
        (["--memory", "500"], SETTINGS, "MEM_LIMIT=500: must be a number with a unit"),
        (["--domain", "https://a.edu"], SETTINGS, "DOMAIN=https://a.edu: must be a bare host name"),
        (["--tls", "files"], SETTINGS, "TLS=files needs TLS_CERT"),
        (["--admin", "a b"], SETTINGS, "ADMIN_USERS=a b: the user name 'a b' must not contain white space"),
        (["--set", "LOGIN_SERVICE=Ada's school"], SETTINGS, "the value of LOGIN_SERVICE cannot be written"),
        (["--auth", "shibboleth"], SETTINGS, "AUTH=shibboleth: must be one of accounts, piculator"),
    ],
)
def test_a_bad_flag_writes_nothing(tmp_path: Path, arguments: list[str], exit_code: int, message: str) -> None:
    done = stackgen("init", tmp_path / "stack", *arguments)
    assert done.returncode == exit_code
    assert problems(done.stderr)[0][0].startswith(message)
    assert not list((tmp_path / "stack").glob("*"))


def test_a_second_init_changes_nothing(tmp_path: Path) -> None:
    init(tmp_path, "--domain", "a.edu")
    before, times = contents(tmp_path), {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    init(tmp_path, "--domain", "a.edu")
    init(tmp_path)
    assert contents(tmp_path) == before
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == times


def test_another_answer_than_the_stored_one_is_refused(tmp_path: Path) -> None:
    init(tmp_path, "--domain", "a.edu", "--memory", "1G")
    before = contents(tmp_path)
    done = stackgen("init", tmp_path, "--domain", "b.edu", "--memory", "2G", "--language", "zh")
    assert done.returncode == USAGE
    hint = f"edit {tmp_path}/.env, then run `stackgen render`"
    assert problems(done.stderr) == [
        (".env has another DOMAIN already", hint), (".env has another MEM_LIMIT already", hint),
    ]  # fmt: skip
    assert contents(tmp_path) == before


def test_what_is_missing_is_added_and_what_is_there_stays(tmp_path: Path) -> None:
    """An .env written by hand, with comments, becomes a stack."""
    (tmp_path / ".env").write_text("# our lab\nDOMAIN=a.edu # x\n")
    assert stackgen("init", tmp_path).returncode == SETTINGS
    (tmp_path / ".env").write_text("# our lab\nDOMAIN=a.edu\n\nTLS='off'\n")
    init(tmp_path, "--admin", "ada")
    text = (tmp_path / ".env").read_text()
    assert text.startswith("# our lab\nDOMAIN=a.edu\n\nTLS='off'\n")
    assert set(envfile.parse(text)) == {"DOMAIN", "TLS", "ADMIN_USERS"} | TOKENS


@pytest.mark.parametrize("content", ["POSTGRES_PASSWORD=x\n", "DEBUG=True\nDOMAIN=a.edu\n", 'A="x"\n', "A=\xff\n"])
def test_an_env_of_another_program_is_refused_untouched(tmp_path: Path, content: str) -> None:
    (tmp_path / ".env").write_bytes(content.encode("latin-1"))
    done = stackgen("init", tmp_path, "--admin", "ada")
    assert done.returncode == SETTINGS
    assert problems(done.stderr)
    assert "Traceback" not in done.stderr
    assert contents(tmp_path) == {".env": content.encode("latin-1")}


def test_an_init_that_was_interrupted_is_completed_by_running_it_again(tmp_path: Path) -> None:
    """The answers and the secrets are stored first, so they stay the same."""
    init(tmp_path / "stack", "--domain", "a.edu")
    whole = contents(tmp_path / "stack")
    for name in (
        "images/Dockerfile",
        "compose.yaml",
        ".stackgen/rendered/nginx/nginx.conf",
        "hub/jupyterhub_config.py",
    ):
        (tmp_path / "stack" / name).unlink()
    init(tmp_path / "stack")
    assert contents(tmp_path / "stack") == whole
    (tmp_path / "alone").mkdir(mode=0o700)
    envfile.write(tmp_path / "alone/.env", whole[".env"].decode())
    init(tmp_path / "alone")
    assert contents(tmp_path / "alone").keys() == whole.keys()
    assert (tmp_path / "alone/compose.yaml").read_bytes() == whole["compose.yaml"]


def test_a_folder_that_cannot_be_written_is_an_error_not_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "stack").write_text("a file\n")
    done = stackgen("init", tmp_path / "stack")
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert problems(done.stderr)


def test_on_a_terminal_it_asks_at_most_six_questions_each_with_an_answer_to_take(tmp_path: Path) -> None:
    terminal, code = answers(tmp_path)
    assert code == 0
    assert QUESTION.findall(terminal.seen) == [
        ("Domain", "localhost"), ("Language", "en"), ("TLS mode", "self-signed"), ("Login method", "accounts"),
        ("First admin", "admin"), ("Memory per user", "500M"),
    ]  # fmt: skip
    assert len([setting for setting in TABLE if setting.question]) <= 6
    assert envfile.read(tmp_path / ".env").keys() == TOKENS | {"ADMIN_USERS"}
    assert all(setting.help in terminal.seen for setting in TABLE if setting.question)


def test_answers_are_stored(tmp_path: Path) -> None:
    _, code = answers(tmp_path, "a.edu", "zh", "off", "pam", "Ada", "1G")
    assert code == 0
    stored = envfile.read(tmp_path / ".env")
    assert {key: value for key, value in stored.items() if key not in TOKENS} == {
        "DOMAIN": "a.edu", "STACK_LANGUAGE": "zh", "TLS": "off", "AUTH": "pam", "ADMIN_USERS": "Ada",
        "MEM_LIMIT": "1G",
    }  # fmt: skip


def test_a_bad_answer_is_asked_for_again(tmp_path: Path) -> None:
    terminal, code = answers(tmp_path, "https://a.edu", "A.edu", "a.edu")
    assert code == 0
    assert terminal.seen.count("Domain [localhost]: ") == 3
    assert "DOMAIN must be a bare host name, without scheme, port or path\n" in terminal.seen
    assert envfile.read(tmp_path / ".env")["DOMAIN"] == "a.edu"


def test_what_a_flag_says_is_not_asked(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, "--domain", "a.edu", "--memory", "1G")
    while terminal.question() is not None:
        terminal.type("\n")
    assert terminal.end() == 0
    assert "Domain" not in terminal.seen
    assert "Memory" not in terminal.seen


@pytest.mark.parametrize(("key", "code"), [("\x03", 128 + signal.SIGINT), ("\x04", USAGE)])
def test_ctrl_c_and_ctrl_d_at_a_question_write_nothing(tmp_path: Path, key: str, code: int) -> None:
    terminal = Terminal(tmp_path / "stack")
    terminal.question()
    terminal.type("a.edu\n")
    terminal.question()
    terminal.type(key)
    assert terminal.end() == code
    assert "Traceback" not in terminal.seen
    assert not (tmp_path / "stack").exists()


def test_a_stack_that_has_answers_is_not_asked_again(tmp_path: Path) -> None:
    answers(tmp_path, "a.edu")
    terminal, code = answers(tmp_path)
    assert code == 0
    assert "Domain [" not in terminal.seen
