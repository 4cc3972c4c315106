"""`stackgen init`: a few questions, then .env and every file of the stack."""

import getpass
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from stackgen import envfile
from stackgen.errors import SETTINGS, USAGE, Problem, StackgenError
from stackgen.journal import refuse_others
from stackgen.logins import LOGINS, lets_anyone_in, needed
from stackgen.settings import Settings, invalid_values, missing_secrets, unknown_keys, with_defaults
from stackgen.settings_table import BY_KEY, TABLE, Setting
from stackgen.stack import Stack

ENV_HEADER = """\
# The settings of this stack, and its secrets: keep it to yourself, and keep a copy in a safe place.
# Every setting that there is stands in .env.example. After a change: stackgen render, then stackgen up.
"""


@dataclass(frozen=True)
class Question:
    """What `init` asks: a setting, the answer that Return takes, and whether there must be one."""

    setting: Setting
    offered: str = ""
    required: bool = False


def initialize(directory: Path, given: Mapping[str, str], ask: Callable[[Question], str] | None) -> Stack:
    """Write .env, or complete the one that is there; no file but .env is touched.

    `given` are settings named on the command line. `ask` is called for each setting that the choices made so far call
    for and that is not given; without it the defaults hold, and what has none must be given. An answer that .env has is
    never changed silently: another one on the command line is an error. Raises StackgenError before anything is
    written.
    """
    stack = Stack(directory.resolve())
    refuse_others(stack.directory)
    text = envfile.read_text(stack.env) if stack.env.exists() else ENV_HEADER
    stored = envfile.parse(text)
    problems = [
        *unknown_keys(given),
        *(
            Problem(f".env has another {key} already", f"edit {stack.env}, then run `stackgen render`")
            for key, value in given.items()
            if stored.get(key) and stored[key] != value
        ),
    ]
    if problems:
        raise StackgenError(problems, exit_code=USAGE)
    values = {**stored, **given}
    if problems := list(invalid_values(values)):
        raise StackgenError(problems, exit_code=SETTINGS)
    if ask and not stored:
        for question in _questions(values):
            values[question.setting.key] = ask(question)
    if problems := list(_not_given(values)):
        raise StackgenError(problems, exit_code=USAGE)
    values |= missing_secrets(values)
    new = {key: value for key, value in values.items() if value != stored.get(key) and _worth_storing(key, value)}
    if new:
        Settings(values)
        try:
            stack.directory.mkdir(parents=True, exist_ok=True)
            envfile.write(stack.env, envfile.updated(text, new))
        except OSError as error:
            raise StackgenError(f"{stack.env} cannot be written: {error.strerror}", "choose another folder") from None
    return stack


def _worth_storing(key: str, value: str) -> bool:
    return bool(value) and value != BY_KEY[key].default


def _questions(values: Mapping[str, str]) -> Iterator[Question]:
    """What to ask, one by one: each answer is in `values` before the next question is thought of."""
    for setting in TABLE:
        if setting.question and len(setting.choices) != 1 and setting.key not in values:
            now = with_defaults(values)
            if setting.key == "ADMIN_USERS" and LOGINS[now["AUTH"]].provider:
                # no name is offered: whoever has it at the provider would be an admin here
                yield Question(setting, required=not lets_anyone_in(now))
            else:
                yield Question(setting, setting.suggestion or setting.default)
        if setting.key == "AUTH":
            yield from _login_questions(values)


def _login_questions(values: Mapping[str, str]) -> Iterator[Question]:
    """What the chosen login needs, and who may log in with it."""
    now = with_defaults(values)
    login = LOGINS[now["AUTH"]]
    for key in needed(now):
        if key not in values:
            yield Question(BY_KEY[key], required=True)
    for key in login.either:
        if not any(values.get(other) for other in login.either):
            yield Question(BY_KEY[key], required=key == login.either[-1])
    if login.provider and not values.keys() & {"ALLOW_ALL", "ALLOWED_GROUPS", "ADMIN_GROUPS"}:
        yield Question(BY_KEY["ALLOW_ALL"], BY_KEY["ALLOW_ALL"].default)
        if "ALLOWED_GROUPS" in login.takes and values["ALLOW_ALL"] != "true":
            yield Question(BY_KEY["ALLOWED_GROUPS"])


def _not_given(values: Mapping[str, str]) -> Iterator[Problem]:
    now = with_defaults(values)
    for key in needed(now):
        if not now[key]:
            flag = f"--secrets FILE, with a line {key}=... in it" if BY_KEY[key].secret else f"--set {key}=..."
            yield Problem(f"AUTH={now['AUTH']} needs {key}", f"give it with {flag}")


def ask_on_terminal(question: Question) -> str:
    """Ask one question until the answer is valid; Return takes what is offered. A secret is not shown."""
    setting = question.setting
    print(f"\n{setting.help}", file=sys.stderr)
    choices = f" ({', '.join(setting.choices)})" if setting.choices else ""
    prompt = f"{setting.question or setting.key}{choices} [{question.offered}]: "
    while True:
        answer = _typed(prompt, shown=not setting.secret) or question.offered
        try:
            if answer:
                setting.check(answer)
            elif question.required:
                raise ValueError("is needed")
            return answer
        except ValueError as error:
            print(f"{setting.key} {error}", file=sys.stderr)


def _typed(prompt: str, *, shown: bool) -> str:
    try:
        if not shown:
            return getpass.getpass(prompt).strip()
        print(prompt, end="", file=sys.stderr, flush=True)
        line = sys.stdin.readline()
        if not line:
            raise EOFError
        return line.strip()
    except EOFError:
        raise StackgenError("the answers ended early", "nothing was written; run it again", USAGE) from None


def parse_assignments(pairs: list[str]) -> dict[str, str]:
    """`--set KEY=VALUE` options. Raises StackgenError for one of another form, and for a secret."""
    values = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise StackgenError(f"--set {pair}: not of the form KEY=VALUE", exit_code=USAGE)
        if key in BY_KEY and BY_KEY[key].secret:
            raise StackgenError(
                f"--set {key}: it is a secret, and others on this machine can read command lines",
                f"write {key}=... into a file, and name that with --secrets FILE (`-` is standard input)",
                USAGE,
            )
        values[key] = value
    return values


def read_secrets(source: str) -> dict[str, str]:
    """The secrets in the file of `--secrets`, or on standard input for `-`. Raises StackgenError for anything else."""
    try:
        values = envfile.parse(sys.stdin.read() if source == "-" else envfile.read_text(Path(source)))
    except OSError as error:
        raise StackgenError(f"--secrets {source}: {error.strerror}", "name a file like .env", USAGE) from None
    except StackgenError as error:
        lines = [Problem(f"--secrets {source}: as a {problem.message}", problem.hint) for problem in error.problems]
        raise StackgenError(lines, exit_code=USAGE) from None
    public = [key for key in values if key in BY_KEY and not BY_KEY[key].secret]
    if public:
        raise StackgenError(f"--secrets {source}: {public[0]} is no secret", f"use --set {public[0]}=...", USAGE)
    return values
