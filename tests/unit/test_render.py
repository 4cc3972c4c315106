"""What `init` writes for the main choices: readable, valid, without values or secrets, and complete in itself."""

import ipaddress
import os
import re
import shlex
import subprocess
from pathlib import Path, PurePath

import pytest
import yaml
from unit_support import (
    LOGGED_IN,
    REGISTRIES,
    ROOT,
    SECRETS,
    TOKEN,
    compose,
    configuration,
    contents,
    init,
    settings,
    tool,
)

from stackgen import envfile
from stackgen import render as rendering
from stackgen.render import is_operators, render
from stackgen.settings_table import BY_KEY, TABLE

GOLDEN = Path(__file__).parent / "golden"
CHOICES = {
    "default": {},
    "tls-files": {"TLS": "files", "TLS_CERT": "/etc/ssl/jupyter.pem", "TLS_KEY": "/etc/ssl/private/jupyter.pem"},
    "acme": {"TLS": "acme", "DOMAIN": "math.example.edu", "DOMAIN_ALIASES": "www.math.example.edu"},
    "tls-off": {"TLS": "off", "BIND_ADDRESS": "127.0.0.1", "HTTP_PORT": "8000"},
    "own-sage-image": {"SAGE_IMAGE": "registry.example.edu/math/sage:10.8"},
    "chinese": {"STACK_LANGUAGE": "zh", "STACK_TITLE": "数学实验室", "STACK_LOGO": "/etc/stackgen/our logo.svg"},
    "piculator": {"AUTH": "piculator", "ADMIN_USERS": "Ada,bob"} | LOGGED_IN["piculator"],
    "pam": {"AUTH": "pam"},
}
STRUCTURE = {"TLS", "AUTH"}  # choices that are written out, because they change more than a value
SHOWN = ("compose.yaml", "nginx/nginx.conf")

choice = pytest.mark.parametrize("choice", CHOICES)


@pytest.fixture(scope="module")
def stacks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A stack directory for each choice, made by `stackgen init`."""
    made = {}
    for name, chosen in CHOICES.items():
        made[name] = tmp_path_factory.mktemp(name) / "stack"
        init(made[name], **SECRETS | chosen)
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
            if key in STRUCTURE:
                assert value == settings(**CHOICES[choice])[key]
            elif key == "AUTHENTICATOR_CLASS":
                assert value == settings(**CHOICES[choice]).login.authenticator
            elif key == "STATIC":
                assert value == "static-none"
                assert CHOICES[choice]["SAGE_IMAGE"]
            else:
                assert value.startswith("${")
                assert "}" in value
    referred = set(re.findall(r"\$\{([A-Z_]+)", text))
    assert referred <= {setting.key for setting in TABLE}
    stored = CHOICES[choice].keys() - STRUCTURE - {"ADMIN_USERS"}
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
    """Only TLS, AUTH and SAGE_IMAGE decide about structure: other values may be edited without a render."""
    here = PurePath("/srv/stack")
    usual = render(settings(), here)
    other = settings(
        DOMAIN="a.edu", STACK_LANGUAGE="zh", BIND_ADDRESS="[::1]", HTTP_PORT="81", HTTPS_PORT="444", ADMIN_USERS="ada",
        MEM_LIMIT="1G", CPU_LIMIT="1", PIDS_LIMIT="100", IDLE_TIMEOUT="0", VOLUME_PREFIX="a-", BASE_IMAGE="debian:13",
        APT_MIRROR="http://10.0.0.7/debian", PIP_INDEX_URL="http://10.0.0.7/simple", DATABASE_URL="postgresql://db/hub",
    )  # fmt: skip
    changed = {path for path, content in render(other, here).items() if content != usual[path]}
    assert changed == {"stackgen.service", "hub/admins"}


def test_the_hub_reads_its_admins_from_a_file() -> None:
    """Normalised, one a line, in the order of .env; and a new admin needs no new container."""
    here = PurePath("/srv/stack")
    nobody, some = render(settings(), here), render(settings(ADMIN_USERS="Zoë,ada,李雷"), here)
    assert nobody["hub/admins"] == b""
    assert some["hub/admins"].decode() == "zoë\nada\n李雷\n"
    assert {path for path in some if some[path] != nobody[path]} == {"hub/admins"}


@pytest.mark.parametrize(
    "copied",
    [
        "images/hub/stackgen_hub/names.py",
        "images/hub/stackgen_hub/renaming.py",
        "images/backup/stackgen_backup/names.py",
        "images/backup/stackgen_backup/renaming.py",
        "images/backup/stackgen_backup/units.py",
    ],
)
def test_what_images_and_stackgen_do_alike_has_one_source(stacks: dict[str, Path], copied: str) -> None:
    """The image holds stackgen's own module, and the checkout no second copy of it."""
    own = ROOT / "generator/stackgen" / Path(copied).name
    assert (stacks["default"] / copied).read_bytes() == own.read_bytes()
    assert not (ROOT / copied).exists()


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
    secrets = SECRETS | {key: value for key, value in CHOICES[choice].items() if BY_KEY[key].secret}
    for path, content in contents(stacks[choice]).items():
        if path != ".env":
            assert not any(secret.encode() in content for secret in secrets.values()), path
    assert envfile.read(stacks[choice] / ".env").items() >= secrets.items()


@choice
def test_no_address_of_a_machine_is_written_down(choice: str, stacks: dict[str, Path]) -> None:
    """No docker0, no host: only "everywhere" and "this container"."""
    for path, content in contents(stacks[choice]).items():
        if path == ".env":
            continue
        for found in re.findall(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])", content.decode()):
            address = ipaddress.ip_address(found)
            assert address.is_unspecified or address.is_loopback or is_number(found, content.decode()), (path, found)


def is_number(found: str, text: str) -> bool:
    """Whether what looks like an address is the version of a package or the number of a standard's section."""
    return bool(re.search(rf"(==|\bsections? ){re.escape(found)}", text))


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
    for line in (images / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ").splitlines():
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


def labels(chosen: dict[str, str]) -> dict[str, str]:
    """The label of each service that carries one."""
    services = yaml.safe_load(render(settings(**chosen), PurePath("/srv/stack"))["compose.yaml"])["services"]
    return {
        name: service["labels"]["stackgen.configuration"] for name, service in services.items() if "labels" in service
    }


def test_a_changed_configuration_restarts_its_container() -> None:
    """Compose does not see a change in a mounted file; a label with a digest of the folder makes it."""
    usual = labels({})
    assert usual.keys() == {"nginx", "hub"}
    assert labels({"DOMAIN": "a.edu", "ADMIN_USERS": "ada"}) == usual
    assert labels({"TLS": "off"}) == {"hub": usual["hub"], "nginx": labels({"TLS": "off"})["nginx"]}
    assert labels({"TLS": "off"})["nginx"] != usual["nginx"]


@pytest.mark.parametrize(
    ("path", "service"),
    [
        ("hub/jupyterhub_config.py", "hub"), ("hub/a/file/of/a/later/version", "hub"), ("nginx/nginx.conf", "nginx"),
        ("hub/config.d/README.md", None), ("nginx/conf.d/README.md", None), ("images/Dockerfile", None),
    ],
)  # fmt: skip
def test_every_file_that_a_container_has_mounted_counts(
    path: str, service: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All but the operator's own, which are never written again, and images, which Compose builds."""
    usual = labels({})
    shipped = {name: content for name, content in rendering._shipped().items() if name != f"{path}.j2"}
    shipped[path] = b"another version\n"
    monkeypatch.setattr(rendering, "_shipped", lambda: shipped)
    assert {name for name, label in labels({}).items() if label != usual[name]} == ({service} if service else set())


def test_a_packages_own_tests_are_not_shipped(tmp_path: Path) -> None:
    for path in ("hub/package/tests/test_it.py", "hub/package/it.py", "hub/package/latests/it.py"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    assert {path for path, _ in rendering._walk(tmp_path)} == {"hub/package/it.py", "hub/package/latests/it.py"}
