"""What the unit tests share: the command line, a valid .env, and what Compose itself makes of a stack directory."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from stackgen.settings import BY_KEY, Settings
from tests.conftest import stackgen

ROOT = Path(__file__).parents[2]
TOKEN = "t0kEn_-" * 6 + "A"  # 43 characters of [A-Za-z0-9_-], as `init` makes them
SECRETS = {"PROXY_TOKEN": TOKEN, "HUB_API_TOKEN": TOKEN[::-1]}

# the places that packages and images are downloaded from, in pieces so that no file of the project names them
REGISTRIES = re.compile(
    "|".join(
        re.escape(".".join(pieces))
        for pieces in (
            ("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org"), ("npmjs", "com"), ("docker", "io/"),
            ("hub", "docker", "com"), ("ghcr", "io"), ("quay", "io"), ("gcr", "io"), ("deb", "debian", "org"),
            ("security", "debian", "org"), ("conda", "anaconda", "org"), ("aliyuncs", "com"), ("mirrors", "aliyun"),
            ("tuna", "tsinghua"), ("mirrors", "ustc"), ("crates", "io"), ("proxy", "golang", "org"),
        )
    )
)  # fmt: skip


def settings(**stored: str) -> Settings:
    """Settings of a .env that holds these and the two secrets."""
    return Settings(SECRETS | stored)


def tool(name: str) -> str:
    """A program of the virtual environment that runs the tests."""
    return str(Path(sys.executable).with_name(name))


def clean_environment() -> dict[str, str]:
    """The environment without settings of a stack, which Compose would prefer to .env, and without a terminal's."""
    return {key: value for key, value in os.environ.items() if key not in BY_KEY and not key.startswith("COMPOSE_")}


def compose(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`docker compose` in a directory; needs the plugin, but no engine."""
    return subprocess.run(
        ["docker", "compose", *arguments],
        cwd=directory,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
    )


def as_compose_reads(directory: Path, env: bytes, keys: Iterable[str]) -> dict[str, str] | None:
    """The values that Compose takes out of this .env for these keys, if it sees them; None if it refuses the file."""
    directory.mkdir(exist_ok=True)
    (directory / ".env").write_bytes(env)
    variables = {key: f"${{{key}-(not set)}}" for key in keys}
    service = {"image": "none", "environment": variables}
    (directory / "compose.yaml").write_text(json.dumps({"name": "none", "services": {"one": service}}))
    done = compose(directory, "config", "--format", "json")
    if done.returncode != 0:
        return None
    shown = json.loads(done.stdout)["services"]["one"].get("environment") or {}
    # `config` writes `$` as `$$`, so that its output can be read again
    return {key: value.replace("$$", "$") for key, value in shown.items() if value != "(not set)"}


def configuration(directory: Path) -> dict[str, Any]:
    """The stack as Compose understands it, every value filled in."""
    done = compose(directory, "config", "--format", "json")
    assert done.returncode == 0, done.stderr
    loaded: dict[str, Any] = json.loads(done.stdout)
    return loaded


def init(directory: Path, *arguments: str) -> None:
    """`stackgen init` that must work."""
    done = stackgen("init", directory, *arguments)
    assert done.returncode == 0, done.stderr


def contents(directory: Path) -> dict[str, bytes]:
    """Every file below a directory with its bytes, by relative path."""
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def problems(stderr: str) -> list[tuple[str, str]]:
    """Each `error:` with its `hint:` in what a command said."""
    return re.findall(r"^error: (.*)(?:\nhint: (.*))?$", stderr, flags=re.MULTILINE)
