"""What the documentation says exists: commands, options, settings, files, links."""

import re
from pathlib import Path

import click
import pytest
import typer.main

from stackgen.cli import app
from stackgen.settings_table import BY_KEY

CHECKOUT = Path(__file__).parents[2]
PAGES = sorted([*CHECKOUT.glob("README*.md"), *CHECKOUT.glob("docs/*.md"), *CHECKOUT.glob("compose/**/README.md")])


def commands(text: str) -> list[str]:
    """Every `stackgen ...` in code blocks and in code spans."""
    code = re.findall(r"```(?:sh)?\n(.*?)```", text, re.DOTALL) + re.findall(r"`([^`\n]+)`", text)
    lines = [part for block in code for line in block.splitlines() for part in re.split(r"&&|;|#|\|(?!\w)", line)]
    return [
        line.removeprefix("sudo ").strip() for line in map(str.strip, lines) if re.match(r"(sudo )?stackgen ", line)
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(CHECKOUT)))
def test_every_command_and_option_that_a_page_names_exists(page: Path) -> None:
    group = typer.main.get_command(app)
    assert isinstance(group, click.Group) or hasattr(group, "commands")
    for command in commands(page.read_text()):
        words = command.replace("[", " ").replace("]", " ").split()[1:]
        verb = next((word for word in words if not word.startswith("-")), None)
        if verb in (None, "COMMAND"):
            continue
        assert verb in group.commands, f"{page.name}: {command}"
        found = group.commands[verb]
        rest = words[words.index(verb) + 1 :]
        if hasattr(found, "commands") and rest:
            assert rest[0] in found.commands, f"{page.name}: {command}"
            found = found.commands[rest[0]]
        known = {option for param in found.params for option in param.opts}
        known |= {option for param in group.params for option in param.opts} | {"--help"}
        for option in re.findall(r"(?<!\S)--?[a-z][a-z-]*", " ".join(words)):
            assert option in known, f"{page.name}: {command}: {option}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(CHECKOUT)))
def test_every_setting_that_a_page_assigns_exists(page: Path) -> None:
    for key in re.findall(r"\b([A-Z][A-Z_]{2,})=", page.read_text()):
        assert key in BY_KEY or key in ("KEY", "STACKGEN_TEST_ARTIFACTS"), f"{page.name}: {key}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(CHECKOUT)))
def test_every_link_leads_to_a_file(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
        assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_both_readmes_show_the_same_commands() -> None:
    """The Chinese README may add the mirrors, and leaves nothing out."""
    english = set(
        re.findall(r"^(?:sudo |docker |stackgen |scripts/|pip )[^#\n\\]*", (CHECKOUT / "README.md").read_text(), re.M)
    )
    chinese = (CHECKOUT / "README.zh-CN.md").read_text()
    for command in english:
        assert command.strip() in chinese, command
