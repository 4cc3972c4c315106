"""What the unit tests share: the command line, a valid .env, and what Compose itself makes of a stack directory."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from stackgen import envfile
from stackgen.settings import Settings
from stackgen.settings_table import BY_KEY
from tests.conftest import stackgen

ROOT = Path(__file__).parents[2]
TOKEN = "t0kEn_-" * 6 + "A"  # 43 characters of [A-Za-z0-9_-], as `init` makes them
SECRETS = {"PROXY_TOKEN": TOKEN, "HUB_API_TOKEN": TOKEN[::-1], "CRYPT_KEY": TOKEN.swapcase()}

# for each login a .env that an operator could have written
LOGGED_IN: dict[str, dict[str, str]] = {
    "accounts": {"ALLOW_SIGNUP": "true"},
    "piculator": {
        "PICULATOR_URL": "https://piculator.example.edu", "OAUTH_CLIENT_ID": "clubs-sage",
        "OAUTH_CLIENT_SECRET": "piculators-word", "ALLOWED_GROUPS": "members,guests", "ADMIN_GROUPS": "board",
    },
    "oidc": {
        "OIDC_ISSUER": "https://login.example.edu/realms/school", "OAUTH_CLIENT_ID": "jupyterhub",
        "OAUTH_CLIENT_SECRET": "oidcs-word", "ADMIN_GROUPS": "Domain Admins", "USERNAME_CLAIM": "preferred_username",
    },
    "github": {"OAUTH_CLIENT_ID": "Iv1.8a61", "OAUTH_CLIENT_SECRET": "githubs-word", "ALLOWED_GROUPS": "our-school"},
    "gitlab": {
        "GITLAB_URL": "https://gitlab.example.edu", "OAUTH_CLIENT_ID": "8a61", "OAUTH_CLIENT_SECRET": "gitlabs-word",
        "ALLOWED_GROUPS": "maths/teachers", "OAUTH_SCOPES": "read_api openid",
    },
    "google": {
        "OAUTH_CLIENT_ID": "8a61.apps", "OAUTH_CLIENT_SECRET": "googles-word", "ALLOW_ALL": "true",
        "GOOGLE_DOMAINS": "example.edu,students.example.edu",
    },
    "azuread": {
        "AZUREAD_TENANT": "0000aaaa-11bb-cccc-dd22-eeeeee333333", "OAUTH_CLIENT_ID": "8a61",
        "OAUTH_CLIENT_SECRET": "azures~word", "ALLOW_ALL": "true", "GROUPS_CLAIM": "roles",
    },
    "cilogon": {
        "CILOGON_IDPS": "https://idp.example.edu/shibboleth urn:mace:incommon:example.edu",
        "OAUTH_CLIENT_ID": "cilogon:/client_id/8a61", "OAUTH_CLIENT_SECRET": "cilogons-word", "ALLOW_ALL": "true",
    },
    "ldap": {
        "LDAP_SERVER": "ldap.example.edu", "LDAP_SEARCH_BASE": "ou=people,dc=example,dc=edu",
        "LDAP_SEARCH_USER": "cn=hub,dc=example,dc=edu", "LDAP_SEARCH_PASSWORD": "ldaps word, with blanks",
        "ALLOWED_GROUPS": "cn=a,ou=groups,dc=edu;cn=b,ou=groups,dc=edu",
    },
    "pam": {},
}  # fmt: skip

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
    """Settings of a .env that holds these and the generated secrets."""
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


def init(directory: Path, *arguments: str, **given: str) -> None:
    """`stackgen init` that must work, with settings given as a user gives them: the secret ones on standard input."""
    secret = {key: value for key, value in given.items() if BY_KEY[key].secret}
    words = [word for key in given.keys() - secret for word in ("--set", f"{key}={given[key]}")]
    if secret:
        words += ["--secrets", "-"]
    lines = "".join(envfile.line(key, value) + "\n" for key, value in secret.items())
    done = stackgen("init", directory, *arguments, *words, stdin=lines)
    assert done.returncode == 0, done.stderr


def contents(directory: Path) -> dict[str, bytes]:
    """Every file below a directory with its bytes, by relative path."""
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def problems(stderr: str) -> list[tuple[str, str]]:
    """Each `error:` with its `hint:` in what a command said."""
    return re.findall(r"^error: (.*)(?:\nhint: (.*))?$", stderr, flags=re.MULTILINE)
