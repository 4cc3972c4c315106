"""The repository's own rules, checked by the tools that everybody has: nothing is skipped, nothing is loosened."""

import re
import subprocess
from pathlib import Path

import pytest
from unit_support import REGISTRIES, ROOT, tool

MODULES = sorted((ROOT / "generator/stackgen").glob("*.py"))


def check(*arguments: str | Path) -> None:
    """Run a tool of the virtual environment in the repository; it must be content."""
    done = subprocess.run(
        [tool(str(arguments[0])), *arguments[1:]], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def tracked() -> list[Path]:
    """The files that git knows, or would after `git add .`; tests also run where there is no git, on what is there."""
    done = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [ROOT / name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]


def texts() -> dict[str, str]:
    """Each tracked text file by its path."""
    found = {}
    for path in tracked():
        content = path.read_bytes()
        if b"\0" not in content:
            found[str(path.relative_to(ROOT))] = content.decode("utf-8")
    return found


def test_ruff_finds_nothing() -> None:
    check("ruff", "check", ".")


def test_the_code_is_formatted() -> None:
    check("ruff", "format", "--check", ".")


def test_the_types_are_right() -> None:
    check("mypy")


def test_the_shell_scripts_are_sound() -> None:
    scripts = [
        path for path in tracked() if re.match(rb"#!.*\b(ba|da)?sh\b", path.read_bytes()[:80].partition(b"\n")[0])
    ]
    names = {str(path.relative_to(ROOT)) for path in scripts}
    assert {"images/nginx/entrypoint", ".ci/run"} <= names
    assert names >= {str(path.relative_to(ROOT)) for path in (ROOT / "scripts").iterdir() if path.is_file()}
    check("shellcheck", *scripts)
    for script in scripts:
        assert script.stat().st_mode & 0o111, f"{script} is not executable"


def test_the_dockerfile_is_sound() -> None:
    check("hadolint", "--no-color", ROOT / "images/Dockerfile")


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_a_module_can_be_read_in_one_sitting(module: Path) -> None:
    assert len(module.read_text(encoding="utf-8").splitlines()) <= 350
    assert module.name.startswith("__main__") or module.read_text(encoding="utf-8").startswith('"""')


def test_every_test_file_can_be_read_in_one_sitting() -> None:
    long = {path.name for path in (ROOT / "tests").rglob("*.py") if len(path.read_text().splitlines()) > 350}
    assert long == set()


def test_no_file_names_a_package_registry() -> None:
    assert {path for path, text in texts().items() if REGISTRIES.search(text)} == set()


def test_no_file_names_a_folder_of_a_developers_machine() -> None:
    needles = re.compile("/" + "work" + r"/|/home/(?!ada\b|sage\b|user\b|you\b)\w+/|/" + r"root/\.")
    assert {path: needles.findall(text) for path, text in texts().items() if needles.search(text)} == {}


def test_no_file_has_trailing_blanks_or_lacks_its_last_line_break() -> None:
    exempt = re.compile(r"\.(md|patch|diff)$")
    bad = {
        path
        for path, text in texts().items()
        if text and not exempt.search(path) and (re.search(r"[ \t]+$", text, flags=re.MULTILINE) or text[-1] != "\n")
    }
    assert bad == set()
