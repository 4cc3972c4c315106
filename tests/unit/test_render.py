"""What `init` writes for the main choices: readable, valid, without values or secrets, and complete in itself."""

import ipaddress
import os
import re
import shlex
import subprocess
from pathlib import Path, PurePath

import pytest
import yaml
from unit_support import REGISTRIES, ROOT, SECRETS, TOKEN, compose, configuration, contents, init, settings, tool

from stackgen import envfile
from stackgen.render import is_operators, render
from stackgen.settings import TABLE

GOLDEN = Path(__file__).parent / "golden"
CHOICES = {
    "default": {},
    "tls-files": {"TLS": "files", "TLS_CERT": "/etc/ssl/jupyter.pem", "TLS_KEY": "/etc/ssl/private/jupyter.pem"},
    "tls-off": {"TLS": "off", "BIND_ADDRESS": "127.0.0.1", "HTTP_PORT": "8000"},
    "own-sage-image": {"SAGE_IMAGE": "registry.example.edu/math/sage:10.8"},
    "chinese": {"STACK_LANGUAGE": "zh"},
}
SHOWN = ("compose.yaml", "nginx/nginx.conf")

choice = pytest.mark.parametrize("choice", CHOICES)


@pytest.fixture(scope="module")
def stacks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A stack directory for each choice, made by `stackgen init`."""
    made = {}
    for name, chosen in CHOICES.items():
        made[name] = tmp_path_factory.mktemp(name) / "stack"
        pairs = [f"{key}={value}" for key, value in (SECRETS | chosen).items()]
        init(made[name], *[word for pair in pairs for word in ("--set", pair)])
    return made


@choice
@pytest.mark.parametrize("path", SHOWN)
def test_the_files_are_as_reviewed(choice: str, path: str, stacks: dict[str, Path]) -> None:
    """The golden files are what a reviewer reads; STACKGEN_UPDATE_GOLDEN=1 writes them anew."""
    golden = GOLDEN / choice / Path(path).name
    rendered = (stacks[choice] / path).read_text(encoding="utf-8")
    if os.environ.get("STACKGEN_UPDATE_GOLDEN"):
        golden.parent.mkdir(parents=True, exist_ok=True)
        golden.write_text(rendered, encoding="utf-8")
    assert rendered == golden.read_text(encoding="utf-8")


@choice
def test_compose_takes_the_stack_without_a_warning(choice: str, stacks: dict[str, Path]) -> None:
    done = compose(stacks[choice], "config", "--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_compose_files_follow_the_specification(stacks: dict[str, Path]) -> None:
    files = [stacks[choice] / name for choice in CHOICES for name in ("compose.yaml", "compose.override.yaml")]
    checker = [tool("check-jsonschema"), "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run([*checker, *files], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@choice
def test_compose_fills_in_what_env_says(choice: str, stacks: dict[str, Path]) -> None:
    """The whole way: .env, references in compose.yaml, and what the containers are given in the end."""
    expected = settings(**CHOICES[choice])
    shown = configuration(stacks[choice])
    hub, nginx, sage = (shown["services"][name] for name in ("hub", "nginx", "sage"))
    for key in (
        "STACK_LANGUAGE",
        "MEM_LIMIT",
        "CPU_LIMIT",
        "PIDS_LIMIT",
        "IDLE_TIMEOUT",
        "VOLUME_PREFIX",
        "DATABASE_URL",
    ):
        assert hub["environment"][key] == expected[key]
    assert hub["environment"]["HUB_API_TOKEN"] == SECRETS["HUB_API_TOKEN"]
    assert hub["environment"]["CONFIGPROXY_AUTH_TOKEN"] == nginx["environment"]["CONFIGPROXY_AUTH_TOKEN"] == TOKEN
    assert nginx["environment"]["TLS"] == expected["TLS"]
    assert {(port["host_ip"], port["published"]) for port in nginx["ports"]} == {
        (expected["BIND_ADDRESS"], expected[key])
        for key in (("HTTP_PORT",) if expected["TLS"] == "off" else ("HTTP_PORT", "HTTPS_PORT"))
    }
    assert hub["environment"]["SAGE_IMAGE"] == sage["image"] == (expected["SAGE_IMAGE"] or "stackgen/sage")
    assert ("build" in sage) == (not expected["SAGE_IMAGE"])
    assert hub["build"]["args"]["BASE_IMAGE"] == "debian:trixie-slim"
    assert shown["networks"]["users"]["name"] == "stackgen-users"
    mounted = {volume["source"] for volume in nginx["volumes"]}
    assert {expected["TLS_CERT"], expected["TLS_KEY"]} - {""} <= mounted


@choice
def test_values_stay_references(choice: str, stacks: dict[str, Path]) -> None:
    """So no value ever passes through YAML quoting, and .env alone decides."""
    text = (stacks[choice] / "compose.yaml").read_text(encoding="utf-8")
    for line in text.splitlines():
        for key in re.findall(r"^\s+([A-Z_]+): ", line):
            value = line.partition(": ")[2].strip('"')
            assert (value.startswith("${") and "}" in value) or (
                key == "TLS" and value == CHOICES[choice].get(key, value)
            )
    referred = set(re.findall(r"\$\{([A-Z_]+)", text))
    assert referred <= {setting.key for setting in TABLE}
    stored = CHOICES[choice].keys() - {"TLS"}
    assert stored <= referred
    assert not any(CHOICES[choice][key] in text for key in stored - {"STACK_LANGUAGE", "BIND_ADDRESS"})


@choice
@pytest.mark.parametrize("path", [*SHOWN, "stackgen.service"])
def test_the_files_read_as_if_written_by_hand(choice: str, path: str, stacks: dict[str, Path]) -> None:
    """No line that a template's tags have joined to another one, no trailing blanks, no runs of empty lines."""
    text = (stacks[choice] / path).read_text(encoding="utf-8")
    assert not re.findall(r"^.*[{;] {3,}[^\s#].*$|^.*[ \t]$", text, flags=re.MULTILINE)
    assert "\n\n\n" not in text
    assert "{%" not in text
    assert text[0] != "\n"
    assert text.endswith("\n")


def test_a_value_of_another_deployment_changes_no_structure() -> None:
    """Only TLS and SAGE_IMAGE decide about structure: everything else may be edited without a render."""
    here = PurePath("/srv/stack")
    usual = render(settings(), here)
    other = settings(
        DOMAIN="a.edu", STACK_LANGUAGE="zh", BIND_ADDRESS="[::1]", HTTP_PORT="81", HTTPS_PORT="444", ADMIN_USERS="ada",
        MEM_LIMIT="1G", CPU_LIMIT="1", PIDS_LIMIT="100", IDLE_TIMEOUT="0", VOLUME_PREFIX="a-", BASE_IMAGE="debian:13",
        APT_MIRROR="http://10.0.0.7/debian", PIP_INDEX_URL="http://10.0.0.7/simple", DATABASE_URL="postgresql://db/hub",
    )  # fmt: skip
    changed = {path for path, content in render(other, here).items() if content != usual[path]}
    assert changed == {"stackgen.service"}


def test_rendering_is_pure() -> None:
    """Same settings, same bytes, wherever and however often; and the directory matters to the systemd unit alone."""
    chosen = settings(DOMAIN="a.edu", TLS="off")
    first = render(chosen, PurePath("/srv/stack"))
    assert render(chosen, PurePath("/srv/stack")) == first
    moved = render(chosen, PurePath("/home/ada/stack"))
    assert {path for path in first if moved[path] != first[path]} == {"stackgen.service"}
    assert b"WorkingDirectory=/home/ada/stack\n" in moved["stackgen.service"]


@choice
def test_what_is_written_is_what_is_rendered(choice: str, stacks: dict[str, Path]) -> None:
    files = contents(stacks[choice])
    rendered = render(settings(**CHOICES[choice]), stacks[choice])
    assert {
        path: content for path, content in files.items() if not path.startswith(".stackgen/") and path != ".env"
    } == (rendered)
    assert {path for path in rendered if is_operators(path)} == {
        "compose.override.yaml", "hub/config.d/README.md", "nginx/conf.d/README.md", "images/ca/README.md",
    }  # fmt: skip


@choice
def test_no_secret_leaves_env(choice: str, stacks: dict[str, Path]) -> None:
    for path, content in contents(stacks[choice]).items():
        if path != ".env":
            assert not any(secret.encode() in content for secret in SECRETS.values()), path
    assert envfile.read(stacks[choice] / ".env").items() >= SECRETS.items()


@choice
def test_no_address_of_a_machine_is_written_down(choice: str, stacks: dict[str, Path]) -> None:
    """No docker0, no host: only "everywhere" and "this container"."""
    for path, content in contents(stacks[choice]).items():
        if path == ".env":
            continue
        for found in re.findall(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])", content.decode()):
            address = ipaddress.ip_address(found)
            assert address.is_unspecified or address.is_loopback or is_version(found, content.decode()), (path, found)


def is_version(found: str, text: str) -> bool:
    """Whether what looks like an address is the version of a package, as in a requirements file."""
    return f"=={found}" in text


def test_no_file_names_a_package_registry(stacks: dict[str, Path]) -> None:
    """Mirrors are settings; whoever names none gets the defaults of apt, pip and the engine."""
    naming = {
        path
        for directory in stacks.values()
        for path, content in contents(directory).items()
        if REGISTRIES.search(content.decode())
    }
    assert naming == set()


def test_the_stack_directory_is_complete_in_itself(stacks: dict[str, Path]) -> None:
    """`docker compose up` needs neither stackgen nor its checkout."""
    images = stacks["default"] / "images"
    sources = []
    for line in (images / "Dockerfile").read_text(encoding="utf-8").splitlines():
        words = shlex.split(line) if line.startswith("COPY ") else []
        if words and not any(word.startswith("--from=") for word in words):
            sources += [word for word in words[1:-1] if not word.startswith("--")]
    assert len(sources) >= 8
    for source in sources:
        assert (images / source).exists(), source
    text = yaml.safe_load((stacks["default"] / "compose.yaml").read_text(encoding="utf-8"))
    for service in text["services"].values():
        assert service.get("build", {"context": "images"})["context"] == "images"
        for volume in service.get("volumes", []):
            if isinstance(volume, str) and volume.startswith("./"):
                assert (stacks["default"] / volume.partition(":")[0]).exists(), volume
    for path in stacks["default"].rglob("*"):
        assert not path.is_symlink(), path
        assert str(ROOT) not in (path.read_text(encoding="utf-8") if path.is_file() else "")


def test_the_hubs_configuration_is_plain_python(stacks: dict[str, Path]) -> None:
    """It is never a template: every stack has the same bytes, and an editor understands them."""
    shipped = (ROOT / "compose/hub/jupyterhub_config.py").read_bytes()
    compile(shipped, "jupyterhub_config.py", "exec")
    for directory in stacks.values():
        assert (directory / "hub/jupyterhub_config.py").read_bytes() == shipped


def test_a_changed_configuration_restarts_its_container() -> None:
    """Compose does not see a change in a mounted file; a label with the file's digest makes it."""
    here = PurePath("/srv/stack")
    labels = [
        yaml.safe_load(render(chosen, here)["compose.yaml"])["services"]["nginx"]["labels"]
        for chosen in (settings(), settings(TLS="off"), settings(DOMAIN="a.edu"))
    ]
    assert labels[0] != labels[1]
    assert labels[0] == labels[2]
