"""What `pip install` of the wheel brings is all that stackgen needs, and nothing that was lying around."""

import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest
from unit_support import ROOT, SECRETS, contents, init

from stackgen import __version__


def run(*argv: str | Path, cwd: Path | str = "/", stdin: str = "") -> str:
    done = subprocess.run(argv, cwd=cwd, capture_output=True, text=True, check=False, input=stdin)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout: of the files that git knows, and some that it must not ship."""
    checkout = tmp_path_factory.mktemp("checkout")
    names = run("git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", cwd=ROOT).split("\0")
    for name in filter(None, names):
        if (ROOT / name).is_file():
            (checkout / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, checkout / name)
    for stray in ("compose/.env", "images/hub/.env", ".env", "generator/stackgen/.env"):
        (checkout / stray).write_text("PROXY_TOKEN=hunter2\n")
    cache = checkout / "images/hub/stackgen_hub/__pycache__"
    cache.mkdir()
    (cache / "accounts.cpython-313.pyc").write_bytes(b"hunter2")
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, checkout)
    [built] = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty virtual environment into which pip has installed the wheel and what it depends on; its bin."""
    folder = tmp_path_factory.mktemp("venv")
    venv.create(folder, with_pip=True, symlinks=True)
    run(folder / "bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wheel)
    return folder / "bin"


def test_the_wheel_holds_the_package_and_the_files_that_it_renders(wheel: Path) -> None:
    assert wheel.name == f"stackgen-{__version__}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    shipped = {str(path.relative_to(ROOT)) for top in ("compose", "images") for path in (ROOT / top).rglob("*")}
    expected = {
        f"stackgen/data/{name}"
        for name in shipped
        if (ROOT / name).is_file() and not {"__pycache__", "tests"} & set(Path(name).parts)
    } | {f"stackgen/{path.name}" for path in (ROOT / "generator/stackgen").glob("*.py")}
    assert {name for name in names if ".dist-info/" not in name} == expected


def test_nothing_that_git_ignores_is_shipped(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            assert Path(name).name != ".env"
            assert not name.endswith(".pyc")
            assert b"hunter2" not in archive.read(name)


def test_the_command_works_from_the_wheel_alone(installed: Path) -> None:
    assert run(installed / "stackgen", "--version") == f"stackgen {__version__}\n"
    assert run(installed / "python", "-m", "pip", "check") == "No broken requirements found.\n"


def test_the_wheel_renders_what_the_checkout_renders(installed: Path, tmp_path: Path) -> None:
    directory = tmp_path / "stack"
    secrets = "".join(f"{key}={value}\n" for key, value in SECRETS.items())
    run(installed / "stackgen", "init", directory, "--secrets", "-", stdin=secrets)
    from_wheel = contents(directory)
    shutil.rmtree(directory)
    init(directory, **SECRETS)
    assert from_wheel == contents(directory)


def test_every_module_imports_with_nothing_but_its_dependencies(installed: Path) -> None:
    """No module leans on a package that only the tests install."""
    modules = [f"stackgen.{path.stem}" for path in (ROOT / "generator/stackgen").glob("*.py") if path.stem[0] != "_"]
    script = "import importlib, sys; [importlib.import_module(name) for name in sys.argv[1:]]"
    run(installed / "python", "-c", script, *modules)
    assert os.path.commonpath(
        [installed, Path(run(installed / "python", "-c", "import stackgen; print(stackgen.__file__)"))]
    )
