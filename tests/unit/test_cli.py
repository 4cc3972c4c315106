"""The command line keeps its promises: instant help, data on stdout, errors in words, exit codes to rely on."""

import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from unit_support import clean_environment, init, problems, settings

from stackgen import __version__
from stackgen.errors import USAGE
from tests.conftest import STACKGEN, stackgen

COMMANDS = {
    "init": {"--domain", "--tls", "--auth", "--admin", "--memory", "--language", "--set", "--secrets"},
    "render": {"--dir", "-C", "--diff", "--check", "--merge", "--keep-mine"},
    "up": {"--dir"},
    "down": {"--dir"},
    "status": {"--dir", "--json"},
    "logs": {"--dir", "--follow", "-f", "--tail"},
    "url": {"--dir"},
    "smoke": {"--dir", "--user", "--password-stdin", "--json"},
    "add-admin": {"--dir", "--generate", "--password-stdin"},
    "remove-admin": {"--dir"},
    "admins": {"--dir", "--json"},
    "announce": {"--dir", "--clear"},
    "publish": {"--dir", "--replace", "--delete", "--remove", "--yes"},
    "base-image": {"--dir", "--image", "--mirror", "--pull", "--force"},
    "upgrade": {"--dir", "--check", "--diff", "--yes", "--no-backup", "--keep-mine", "--smoke", "--json"},
    "rollback": {"--dir", "--yes"},
    "users": set(),
    "volumes": set(),
}
OF_USERS = {
    "users list": {"--dir", "--json"},
    "users add": {"--dir", "--generate", "--password-stdin", "--group", "--email"},
    "users remove": {"--dir", "--volume", "--yes", "--no-backup"},
    "users passwd": {"--dir", "--generate", "--password-stdin"},
    "users allow": {"--dir"},
    "users block": {"--dir"},
    "users import": {"--dir", "--skip-bad", "--output", "--dry-run"},
    "users export": {"--dir"},
    "users alias": {"--dir", "--list", "--remove", "--json"},
}
OF_VOLUMES = {
    "volumes list": {"--dir", "--json"},
    "volumes show": {"--dir", "--json"},
    "volumes copy": {"--dir", "--into", "--replace"},
    "volumes export": {"--dir"},
    "volumes import": {"--dir", "--into", "--replace", "--links-out"},
    "volumes remove": {"--dir", "--yes", "--no-backup"},
    "volumes prune": {"--dir", "--remove", "--yes", "--no-backup", "--json"},
    "volumes adopt": {
        "--dir", "--user", "--into", "--replace", "--chown", "--add-users", "--output", "--json",
    },
}  # fmt: skip
OPTIONS: dict[str, set[str]] = COMMANDS | OF_USERS | OF_VOLUMES
ARGUMENTS = {
    "add-admin": ["ada"], "remove-admin": ["ada"], "users add": ["bob"], "users remove": ["bob"],
    "users passwd": ["bob"], "users allow": ["bob"], "users block": ["bob"], "users import": ["class.csv"],
    "users alias": ["--list"], "volumes show": ["bob"], "volumes copy": ["bob", "eve"], "volumes export": ["bob"],
    "volumes import": ["bob", "bob.tar"], "volumes remove": ["bob"],
}  # fmt: skip
IN_A_STACK = {command for command, options in OPTIONS.items() if "--dir" in options} - {"base-image"}
HEAVY = {"docker", "jinja2", "yaml", "requests", "rich", "pydantic", "dotenv", "ssl", "urllib3"}


def words_of(help_text: str) -> set[str]:
    """The options that a help text mentions."""
    return set(re.findall(r"(?<![\w-])--?[A-Za-z][\w-]*", help_text))


def test_help_lists_every_command_and_only_those() -> None:
    done = stackgen("--help")
    assert done.returncode == 0
    listed = re.findall(r"^  ([a-z-]+)  ", done.stdout.partition("Commands:")[2], flags=re.MULTILINE)
    assert set(COMMANDS) <= set(listed)
    assert all(stackgen(command, "--help").returncode == 0 for command in set(listed) - set(COMMANDS))
    assert {"--version", "--verbose", "-v"} <= words_of(done.stdout)
    for group, commands in (("users", OF_USERS), ("volumes", OF_VOLUMES)):
        shown = stackgen(group, "--help").stdout.partition("Commands:")[2]
        assert {f"{group} {command}" for command in re.findall(r"^  ([a-z-]+)  ", shown, re.MULTILINE)} == set(commands)


@pytest.mark.parametrize("command", OPTIONS)
def test_help_of_a_command_names_its_options(command: str) -> None:
    done = stackgen(*command.split(), "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert OPTIONS[command] <= words_of(done.stdout)


def test_no_command_at_all_shows_the_help() -> None:
    done = stackgen()
    assert "Commands:" in done.stdout + done.stderr


def test_version() -> None:
    done = stackgen("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"stackgen {__version__}\n", "")


@pytest.mark.parametrize("arguments", [["--help"], ["up", "--help"], ["users", "import", "--help"], ["--version"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    """That is what keeps it instant; what a command needs is imported when it runs."""
    code = (
        "import sys; sys.argv = ['stackgen', *sys.argv[1:]]\n"
        "from stackgen.cli import main\n"
        "try: main()\n"
        "except SystemExit: print('MODULES', *sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    imported = set(done.stdout.partition("MODULES ")[2].split())
    assert "stackgen.cli" in imported
    assert imported & HEAVY == set()


@pytest.mark.parametrize("command", sorted(IN_A_STACK))
def test_outside_of_a_stack_directory_it_says_where_to_go(command: str, tmp_path: Path) -> None:
    done = stackgen(*command.split(), *ARGUMENTS.get(command, []), cwd=tmp_path)
    assert (done.returncode, done.stdout) == (USAGE, "")
    [(message, hint)] = problems(done.stderr)
    assert message == f"{tmp_path} is no stack directory: it has no .env"
    assert "--dir" in hint
    assert "stackgen init" in hint
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["render", "--nonsense"],
        ["add-admin"],
        ["url", "surplus"],
        ["--nonsense"],
        ["users", "nonsense"],
        ["users", "add"],
        ["users", "remove"],
        ["users", "passwd", "ada", "bob"],
        ["users", "import"],
    ],
)
def test_a_mistyped_command_is_a_usage_error(arguments: list[str]) -> None:
    done = stackgen(*arguments)
    assert (done.returncode, done.stdout) == (USAGE, "")
    assert "Error" in done.stderr or "error" in done.stderr
    assert "Traceback" not in done.stderr


def test_url_prints_the_url_and_nothing_else(tmp_path: Path) -> None:
    init(tmp_path, "--domain", "a.edu", "--set", "HTTPS_PORT=8443")
    done = stackgen("url", "-C", tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "https://a.edu:8443/\n", "")
    assert done.stdout.strip() == settings(DOMAIN="a.edu", HTTPS_PORT="8443").url


def test_the_stack_directory_is_found_by_flag_by_variable_and_by_being_there(tmp_path: Path) -> None:
    for name in ("one", "two"):
        init(tmp_path / name, "--domain", f"{name}.edu")
    assert stackgen("url", cwd=tmp_path / "one").stdout == "https://one.edu/\n"
    assert stackgen("url", cwd=tmp_path / "one", STACKGEN_DIR=str(tmp_path / "two")).stdout == "https://two.edu/\n"
    done = stackgen("url", "--dir", tmp_path / "one", STACKGEN_DIR=str(tmp_path / "two"))
    assert done.stdout == "https://one.edu/\n"


def test_settings_in_the_shell_do_not_change_what_env_says(tmp_path: Path) -> None:
    init(tmp_path, "--domain", "a.edu")
    assert stackgen("url", "-C", tmp_path, DOMAIN="b.edu", HTTPS_PORT="1").stdout == "https://a.edu/\n"


def on_a_terminal(*arguments: str, **environment: str) -> tuple[int, str]:
    """Run the command with its error output on a terminal."""
    master, slave = pty.openpty()
    clean = {key: value for key, value in clean_environment().items() if key not in ("NO_COLOR", "FORCE_COLOR")}
    done = subprocess.run([STACKGEN, *arguments], stderr=slave, stdout=slave, env=clean | environment, check=False)
    os.close(slave)
    seen = os.read(master, 65536).decode()
    os.close(master)
    return done.returncode, seen


def test_errors_are_red_on_a_terminal_unless_no_color_says_no(tmp_path: Path) -> None:
    code, seen = on_a_terminal("url", "-C", str(tmp_path))
    assert code == USAGE
    assert "\x1b[31merror:\x1b[0m " in seen
    code, seen = on_a_terminal("url", "-C", str(tmp_path), NO_COLOR="1")
    assert code == USAGE
    assert seen.startswith("error: ")
    assert "\x1b" not in seen
    assert "\x1b" not in stackgen("url", "-C", tmp_path).stderr


def test_ctrl_c_while_something_runs_is_quiet(tmp_path: Path) -> None:
    """Docker hangs, as it does on a bad network; the operator gives up."""
    init(tmp_path / "stack")
    ready = tmp_path / "ready"
    (tmp_path / "docker").write_text(f"#!/bin/sh\ntouch {ready}\nexec /bin/sleep 60\n")
    (tmp_path / "docker").chmod(0o755)
    process = subprocess.Popen(
        [STACKGEN, "up", "-C", str(tmp_path / "stack")],
        env=clean_environment() | {"PATH": f"{tmp_path}:/usr/bin:/bin"},
        stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    while not ready.exists():
        assert process.poll() is None
    os.killpg(process.pid, signal.SIGINT)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in stderr


def test_verbose_shows_each_command_as_it_could_be_typed(tmp_path: Path) -> None:
    init(tmp_path / "a stack")
    (tmp_path / "docker").write_text("#!/bin/sh\nexit 0\n")
    (tmp_path / "docker").chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    done = stackgen("-v", "logs", "hub", "--tail", "5", "-C", tmp_path / "a stack", PATH=path)
    assert done.returncode == 0
    assert done.stderr == f"$ docker compose --project-directory '{tmp_path}/a stack' logs --tail 5 hub\n"
    assert stackgen("logs", "-C", tmp_path / "a stack", PATH=path).stderr == ""


def test_the_module_runs_as_the_command_does() -> None:
    done = subprocess.run([sys.executable, "-m", "stackgen", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"stackgen {__version__}\n"


def test_a_file_that_cannot_be_read_or_written_is_named_without_a_traceback(tmp_path: Path) -> None:
    init(tmp_path / "stack")
    (tmp_path / "stack/nginx/nginx.conf").unlink()
    (tmp_path / "stack/nginx/nginx.conf").mkdir()
    done = stackgen("render", "-C", tmp_path / "stack")
    assert done.returncode == 1
    assert done.stderr == f"error: {tmp_path}/stack/nginx/nginx.conf: Is a directory\n"
