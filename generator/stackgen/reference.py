"""The settings, written out: .env.example and docs/settings.md. A test keeps both files current."""

from stackgen.settings import TABLE, Setting


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


def _shown_default(setting: Setting) -> str:
    return "(made by stackgen init)" if setting.generated else setting.default
