"""`stackgen init`: a few questions, then .env and every file of the stack."""

import secrets
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from stackgen import envfile
from stackgen.errors import USAGE, Problem, StackgenError
from stackgen.settings import BY_KEY, TABLE, Setting, Settings, unknown_keys
from stackgen.stack import Stack

ENV_HEADER = """\
# The settings of this stack, and its secrets: keep it to yourself, and keep a copy in a safe place.
# Every setting that there is stands in .env.example. After a change: stackgen render, then stackgen up.
"""


def initialize(directory: Path, given: Mapping[str, str], ask: Callable[[Setting, str], str] | None) -> Stack:
    """Write .env, or complete the one that is there; no file but .env is touched.

    `given` are settings named on the command line. `ask` is called, with the setting and the answer to offer, for each
    setting that has a question and neither a value nor only one choice; without it the defaults hold. An answer that
    .env has is never changed silently: another one on the command line is an error. Raises StackgenError before
    anything is written.
    """
    stack = Stack(directory.resolve())
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
    if ask and not stored:
        for setting in TABLE:
            if setting.question and setting.key not in given and len(setting.choices) != 1:
                values[setting.key] = ask(setting, setting.suggestion or setting.default)
    for setting in TABLE:
        if setting.generated and not values.get(setting.key):
            values[setting.key] = secrets.token_urlsafe(32)
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


def ask_on_terminal(setting: Setting, offered: str) -> str:
    """Ask one question until the answer is valid; Return takes what is offered."""
    print(f"\n{setting.help}", file=sys.stderr)
    choices = f" ({', '.join(setting.choices)})" if setting.choices else ""
    while True:
        print(f"{setting.question}{choices} [{offered}]: ", end="", file=sys.stderr, flush=True)
        line = sys.stdin.readline()
        if not line:
            raise StackgenError("the answers ended early", "nothing was written; run it again", USAGE)
        answer = line.strip() or offered
        try:
            setting.check(answer)
            return answer
        except ValueError as error:
            print(f"{setting.key} {error}", file=sys.stderr)


def parse_assignments(pairs: list[str]) -> dict[str, str]:
    """`--set KEY=VALUE` options. Raises StackgenError for one of another form."""
    values = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise StackgenError(f"--set {pair}: not of the form KEY=VALUE", exit_code=USAGE)
        values[key] = value
    return values
