"""A machine that cannot run the stack says so before anything starts: what is wrong, who is in the way, what to do."""

import os
import shutil
import socket
import subprocess
from collections import namedtuple
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace

import pytest
from unit_support import SECRETS, clean_environment, problems

from stackgen import envfile, machine
from stackgen.engine import DIRECTORY_LABEL, PROJECT_LABEL, SERVICE_LABEL, Container
from stackgen.errors import MACHINE
from stackgen.stack import Stack
from tests.conftest import stackgen

NO_ENGINE = "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?"
NO_PERMISSION = "permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock"


def program(folder: Path, name: str, script: str) -> None:
    """An executable in a folder that stands first on the PATH."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def fake_docker(folder: Path, engine: str, compose: str) -> None:
    """A `docker` that answers as given to the two questions about versions."""
    script = f'case "$1" in\nversion) {engine};;\ncompose) {compose};;\nesac'
    program(folder, "docker", script)


@pytest.fixture
def stack(tmp_path: Path) -> Path:
    """A stack directory that needs nothing but Docker."""
    directory = tmp_path / "stack"
    directory.mkdir()
    envfile.write(directory / ".env", "".join(f"{key}={value}\n" for key, value in SECRETS.items()))
    return directory


def said(stack: Path, path: str, *command: str) -> tuple[int, list[tuple[str, str]]]:
    """What a command says on a machine with this PATH: exit code, and the errors with their hints."""
    done = stackgen(*(command or ("up",)), "-C", stack, PATH=path)
    assert "Traceback" not in done.stderr
    return done.returncode, problems(done.stderr)


INSTALL = "install it: scripts/install-engine"


@pytest.mark.parametrize("command", ["up", "add-admin ada", "base-image"])
def test_docker_is_missing(stack: Path, tmp_path: Path, command: str) -> None:
    program(tmp_path / "bin", "git", "exit 0")
    expected = [("Docker is not installed", INSTALL)]
    assert said(stack, str(tmp_path / "bin"), *command.split()) == (MACHINE, expected)


CASES = {
    "the engine is stopped": (
        f"echo '{NO_ENGINE}' >&2; exit 1", "exit 0",
        "the Docker engine does not answer",
        "start it: sudo systemctl start docker; where no service manager runs: scripts/install-engine",
    ),
    "the user is not in the group": (
        f"echo '{NO_PERMISSION}' >&2; exit 1", "exit 0",
        "you may not use the Docker engine",
        "run as root, or: sudo usermod -aG docker $USER, then log in again",
    ),
    "the engine is too old": (
        "echo 20.10.24+dfsg1", "echo 2.26.1", "Docker Engine 20.10.24+dfsg1 is too old", "stackgen needs 24.0 or later",
    ),
    "compose is missing": (
        "echo 26.1.5", "echo \"docker: 'compose' is not a docker command.\" >&2; exit 1",
        "Docker Compose v2 is not installed", INSTALL,
    ),
    "compose is too old": (
        "echo 26.1.5", "echo v2.6.0", "Docker Compose v2.6.0 is too old", "stackgen needs 2.20 or later",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_docker_is_there_but_of_no_use(stack: Path, tmp_path: Path, case: str) -> None:
    engine, compose, message, hint = CASES[case]
    fake_docker(tmp_path / "bin", engine, compose)
    assert said(stack, f"{tmp_path}/bin") == (MACHINE, [(message, hint)])


def test_only_compose_version_1_is_there(stack: Path, tmp_path: Path) -> None:
    """As on Debian 12, where the package of that name is the dead one."""
    fake_docker(tmp_path / "bin", "echo 26.1.5", "exit 1")
    program(tmp_path / "bin", "docker-compose", "echo docker-compose version 1.29.2")
    message = "Docker Compose v2 is not installed (docker-compose is the dead version 1)"
    assert said(stack, f"{tmp_path}/bin") == (MACHINE, [(message, INSTALL)])


def test_an_invalid_env_is_said_before_anything_about_docker(stack: Path, tmp_path: Path) -> None:
    (stack / ".env").write_text("MEM_LIMIT=1\n")
    program(tmp_path / "bin", "git", "exit 0")
    code, _ = said(stack, str(tmp_path / "bin"))
    assert code == 5


class FakeEngine:
    """An engine with these containers, whose data lies on this machine's root disk."""

    def __init__(self, *containers: Container) -> None:
        self.all = containers
        self.client = SimpleNamespace(info=lambda: {"DockerRootDir": "/"})

    def containers(self, labels: Mapping[str, str] | None = None) -> list[Container]:
        return [item for item in self.all if (labels or {}).items() <= item.labels.items()]

    def services(self, project: str) -> dict[str, Container]:
        found = self.containers({PROJECT_LABEL: project})
        return {item.labels[SERVICE_LABEL]: item for item in found}


def container(
    service: str, project: str, directory: Path | str, ports: tuple[int, ...] = (), **environment: str
) -> Container:
    labels = {SERVICE_LABEL: service, PROJECT_LABEL: project, DIRECTORY_LABEL: str(directory)}
    name = f"{project}-{service}-1"
    return Container(
        name=name,
        state="running",
        health="",
        image="image",
        image_id="",
        labels=labels,
        ports=frozenset(ports),
        exit_code=0,
        environment=environment,
        volumes=frozenset(),
    )


def stack_with(directory: Path, **stored: str) -> Stack:
    """The stack after its .env was edited."""
    text = (directory / ".env").read_text()
    envfile.write(directory / ".env", envfile.updated(text, stored))
    return Stack.at(directory)


@pytest.fixture
def listener() -> socket.socket:
    """A port of this machine that this test process listens on."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server


def test_a_taken_port_names_the_process_that_holds_it(stack: Path, listener: socket.socket) -> None:
    port = str(listener.getsockname()[1])
    found = stack_with(stack, BIND_ADDRESS="127.0.0.1", HTTP_PORT=port, TLS="off")
    [problem] = machine._taken_ports(found, FakeEngine())  # type: ignore[arg-type]
    comm = Path("/proc/self/comm").read_text().strip()
    assert problem.message == f"HTTP_PORT={port} is taken by {comm} (process {os.getpid()})"
    assert problem.hint == "stop it, or choose another HTTP_PORT in .env"


def test_a_taken_port_names_the_container_that_holds_it(stack: Path, listener: socket.socket) -> None:
    """The engine's proxy listens for it, but its name would help nobody."""
    port = listener.getsockname()[1]
    found = stack_with(stack, BIND_ADDRESS="127.0.0.1", HTTP_PORT=str(port), TLS="off")
    other = container("web", "blog", "/srv/blog", (port,))
    [problem] = machine._taken_ports(found, FakeEngine(other))  # type: ignore[arg-type]
    assert problem.message == f"HTTP_PORT={port} is taken by the container blog-web-1"


def test_the_stacks_own_port_is_not_taken(stack: Path, listener: socket.socket) -> None:
    """`up` on a stack that runs."""
    port = listener.getsockname()[1]
    found = stack_with(stack, BIND_ADDRESS="127.0.0.1", HTTP_PORT=str(port), TLS="off")
    own = container("nginx", "stackgen", stack, (port,))
    assert list(machine._taken_ports(found, FakeEngine(own))) == []  # type: ignore[arg-type]


def pair(folder: Path, name: str, *options: str) -> dict[str, str]:
    """A real self-signed certificate and its key, as the two settings."""
    files = {"TLS_CERT": str(folder / f"{name}.pem"), "TLS_KEY": str(folder / f"{name}.key")}
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-subj", "/CN=a.edu",
         "-out", files["TLS_CERT"], "-keyout", files["TLS_KEY"], *(options or ("-nodes",))],
        check=True, capture_output=True, env=clean_environment(),
    )  # fmt: skip
    return files


def test_a_certificate_and_its_key_are_fine(stack: Path, tmp_path: Path) -> None:
    assert list(machine._certificate(stack_with(stack, TLS="files", **pair(tmp_path, "site")))) == []


def test_a_certificate_that_cannot_be_read_is_named(stack: Path, tmp_path: Path) -> None:
    found = stack_with(stack, TLS="files", TLS_CERT=f"{tmp_path}/none.pem", TLS_KEY=str(tmp_path))
    assert [problem.message for problem in machine._certificate(found)] == [
        f"TLS_CERT={tmp_path}/none.pem cannot be read: No such file or directory",
        f"TLS_KEY={tmp_path} cannot be read: Is a directory",
    ]


def test_a_key_of_another_certificate_is_found_out(stack: Path, tmp_path: Path) -> None:
    files = pair(tmp_path, "site") | {"TLS_KEY": pair(tmp_path, "other")["TLS_KEY"]}
    [problem] = machine._certificate(stack_with(stack, TLS="files", **files))
    assert problem.message == "the key in TLS_KEY does not belong to the certificate"


def test_a_key_with_a_passphrase_is_refused_without_a_prompt(stack: Path, tmp_path: Path) -> None:
    files = pair(tmp_path, "site", "-passout", "pass:hunter2")
    [problem] = machine._certificate(stack_with(stack, TLS="files", **files))
    assert problem.message.startswith("the key in TLS_KEY is not usable")
    assert "no passphrase" in problem.hint


def test_text_that_is_no_certificate_is_refused(stack: Path, tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("hello\n")
    found = stack_with(stack, TLS="files", TLS_CERT=f"{tmp_path}/notes", TLS_KEY=f"{tmp_path}/notes")
    assert len(list(machine._certificate(found))) == 1


def test_a_logo_that_is_not_there_is_named(stack: Path, tmp_path: Path) -> None:
    """Compose would say no more than that a mount failed."""
    (tmp_path / "logo.png").write_bytes(b"")
    assert list(machine._logo(stack_with(stack, STACK_LOGO=f"{tmp_path}/logo.png"))) == []
    [problem] = machine._logo(stack_with(stack, STACK_LOGO=f"{tmp_path}/logo.svg"))
    assert problem.message == f"STACK_LOGO={tmp_path}/logo.svg is no file"


Usage = namedtuple("Usage", "total used free")


@pytest.mark.parametrize(
    ("free", "built", "words"),
    [
        (9, False, "9.0 GB free, 10.0 GB wanted"),
        (1, True, "1.0 GB free, 2.0 GB wanted"),
        (9, True, ""),
        (11, False, ""),
    ],
)
def test_a_disk_that_is_nearly_full(
    stack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, built: bool, words: str
) -> None:
    """Building takes more room than running."""
    program(tmp_path / "bin", "docker", f"exit {0 if built else 1}")
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**12, 10**12 - free * 10**9, free * 10**9))
    found = list(machine._disk(Stack.at(stack), FakeEngine()))  # type: ignore[arg-type]
    assert [problem.message for problem in found] == ([f"the disk of / is nearly full: {words}"] if words else [])
    assert all("make room" in problem.hint for problem in found)


def test_a_second_stack_with_the_same_name_is_found(stack: Path, tmp_path: Path) -> None:
    """Compose would take over its containers without a word."""
    (tmp_path / "old").mkdir()
    (tmp_path / "old/.env").touch()
    prefix = "jupyterhub-user-"
    other = container("hub", "stackgen", tmp_path / "old", VOLUME_PREFIX=prefix)
    [problem] = machine._other_stacks(Stack.at(stack), FakeEngine(other))  # type: ignore[arg-type]
    assert problem.message == f"there is another stack with the name stackgen, in {tmp_path}/old"
    assert "STACK_NAME" in problem.hint
    own = container("hub", "stackgen", stack, VOLUME_PREFIX=prefix)
    assert list(machine._other_stacks(Stack.at(stack), FakeEngine(own))) == []  # type: ignore[arg-type]


def test_a_stack_directory_that_was_moved_is_the_same_stack(stack: Path, tmp_path: Path) -> None:
    """Its containers still name the old place, where there is nothing any more."""
    before = container("hub", "stackgen", tmp_path / "old-place", VOLUME_PREFIX="jupyterhub-user-")
    assert list(machine._other_stacks(Stack.at(stack), FakeEngine(before))) == []  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("theirs", "shared"),
    [("jupyterhub-user-", True), ("jupyterhub-", True), ("jupyterhub-user-lab-", True), ("lab-user-", False)],
)
def test_two_stacks_on_the_same_volumes_are_found(stack: Path, theirs: str, shared: bool) -> None:
    other = container("hub", "lab", "/srv/lab", VOLUME_PREFIX=theirs)
    foreign = container("hub", "elsewhere", "/srv/other")  # a hub that is not a stack's
    found = list(machine._other_stacks(Stack.at(stack), FakeEngine(foreign, other)))  # type: ignore[arg-type]
    assert [problem.message for problem in found] == (
        [f"the stack lab names its users' volumes {theirs}..., as this one would: users would share them"]
        if shared
        else []
    )
    assert all(problem.hint == "choose another VOLUME_PREFIX in .env, such as stackgen-user-" for problem in found)
