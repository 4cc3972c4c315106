"""The settings and logins, written out: .env.example, docs/settings.md and the table of docs/logins.md.

Tests keep these files current.
"""

from stackgen.logins import LOGINS
from stackgen.settings_table import TABLE, Setting


def env_example() -> str:
    """The text of .env.example: every setting with its help, commented out at its default."""
    lines = [
        "# Every setting of a stack, with its default. `stackgen init` writes your .env; copy a line there and change",
        "# it, then run `stackgen render`. Values are plain text, or text in 'single quotes'; there are no escapes.",
    ]
    for setting in TABLE:
        if setting.group:
            lines += ["", f"# --- {setting.group} ---"]
        lines += ["", f"# {setting.help}", f"#{setting.key}={_shown_default(setting)}"]
    return "\n".join(lines) + "\n"


def settings_page() -> str:
    """The text of docs/settings.md: a table for each group."""
    lines = [
        "# Settings",
        "",
        "All settings live in `.env` in the stack directory. A missing or empty one means its default. After a change",
        "run `stackgen render` and `stackgen up`. Users' servers go on, and take new limits at their next start.",
    ]
    for setting in TABLE:
        if setting.group:
            lines += ["", f"## {setting.group}", "", "| setting | default | meaning |", "| --- | --- | --- |"]
        default = _shown_default(setting)
        lines.append(f"| `{setting.key}` | {f'`{default}`' if default else ''} | {setting.help} |")
    return "\n".join(lines) + "\n"


def logins_table() -> str:
    """The table of docs/logins.md: each login with the settings that it needs."""
    lines = ["| `AUTH=` | how users log in | needs |", "| --- | --- | --- |"]
    for login in LOGINS.values():
        needs = [*login.needs, *([" or ".join(login.either)] if login.either else [])]
        lines.append(f"| `{login.name}` | {login.help} | {', '.join(needs)} |")
    return "\n".join(lines) + "\n"


def _shown_default(setting: Setting) -> str:
    return "(made by stackgen init)" if setting.generated else setting.default
