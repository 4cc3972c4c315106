"""Whether this machine can run the stack: engine, Compose, ports, disk, and no other stack in the way."""

import re
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

from stackgen.engine import DIRECTORY_LABEL, PROJECT_LABEL, SERVICE_LABEL, Engine, unreachable
from stackgen.errors import MACHINE, Problem, StackgenError
from stackgen.process import run
from stackgen.stack import Stack
from stackgen.units import size

OLDEST_ENGINE = (24, 0)
OLDEST_COMPOSE = (2, 20)
# Building takes about 9 GB with the build cache, of which 3 GB remain in the images; a running stack wants room too.
DISK_TO_BUILD = 10 * 10**9
DISK_TO_RUN = 2 * 10**9


def check_docker() -> None:
    """Raise StackgenError if Docker is missing, stopped, too old or not permitted, or Compose is missing or v1."""
    if not shutil.which("docker"):
        raise StackgenError("Docker is not installed", "install it: scripts/install-engine", MACHINE)
    engine = run(["docker", "version", "--format", "{{.Server.Version}}"], capture=True, check=False)
    if engine.returncode != 0:
        raise unreachable(engine.stderr)
    _check_version("Docker Engine", engine.stdout, OLDEST_ENGINE)
    compose = run(["docker", "compose", "version", "--short"], capture=True, check=False)
    if compose.returncode != 0:
        old = " (docker-compose is the dead version 1)" if shutil.which("docker-compose") else ""
        raise StackgenError(f"Docker Compose v2 is not installed{old}", "install it: scripts/install-engine", MACHINE)
    _check_version("Docker Compose", compose.stdout, OLDEST_COMPOSE)


def _check_version(what: str, text: str, oldest: tuple[int, int]) -> None:
    match = re.search(r"(\d+)\.(\d+)", text)
    if match and (int(match[1]), int(match[2])) < oldest:
        wanted = ".".join(map(str, oldest))
        raise StackgenError(f"{what} {text.strip()} is too old", f"stackgen needs {wanted} or later", MACHINE)


def check(stack: Stack, engine: Engine) -> None:
    """Raise StackgenError with everything that would keep the stack from starting. Changes nothing."""
    check_docker()
    problems = [
        *_other_stacks(stack, engine),
        *_taken_ports(stack, engine),
        *_certificate(stack),
        *_logo(stack),
        *_disk(stack, engine),
    ]
    if problems:
        raise StackgenError(problems, exit_code=MACHINE)


def _other_stacks(stack: Stack, engine: Engine) -> Iterator[Problem]:
    name, prefix = stack.settings["STACK_NAME"], stack.settings["VOLUME_PREFIX"]
    for container in engine.containers({SERVICE_LABEL: "hub"}):
        project, directory = container.labels.get(PROJECT_LABEL, ""), container.labels.get(DIRECTORY_LABEL, "")
        theirs = container.environment.get("VOLUME_PREFIX")
        if theirs is None:
            continue  # somebody else's hub
        if project == name:
            # a directory that is gone was moved here
            if Path(directory) != stack.directory and (Path(directory) / ".env").exists():
                yield Problem(
                    f"there is another stack with the name {name}, in {directory}",
                    "choose another STACK_NAME in .env, or work in that directory",
                )
        elif theirs.startswith(prefix) or prefix.startswith(theirs):
            yield Problem(
                f"the stack {project} names its users' volumes {theirs}..., as this one would: users would share them",
                f"choose another VOLUME_PREFIX in .env, such as {name}-user-",
            )


def _taken_ports(stack: Stack, engine: Engine) -> Iterator[Problem]:
    settings = stack.settings
    own = engine.services(settings["STACK_NAME"]).get("nginx")
    for key in ("HTTP_PORT",) if settings["TLS"] == "off" else ("HTTP_PORT", "HTTPS_PORT"):
        port = int(settings[key])
        if (own and port in own.ports) or _is_free(settings["BIND_ADDRESS"].strip("[]"), port):
            continue
        holder = _holder(port, engine)
        yield Problem(f"{key}={port} is taken by {holder}", f"stop it, or choose another {key} in .env")


def _is_free(address: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the engine's proxy does
        try:
            probe.bind((address, port))
        except PermissionError:
            return True  # a port below 1024 and no root: the engine may
        except OSError:
            return False
    return True


def _holder(port: int, engine: Engine) -> str:
    for container in engine.containers():
        if port in container.ports:
            return f"the container {container.name}"
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:  # 0A: listening
                inodes.add(f"socket:[{fields[9]}]")
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if any(str(link.readlink()) in inodes for link in (process / "fd").iterdir()):
                return f"{(process / 'comm').read_text().strip()} (process {process.name})"
        except OSError:
            continue  # it ended, or is not ours to look into
    return "another process (run as root to see which)"


def _certificate(stack: Stack) -> Iterator[Problem]:
    import ssl

    if stack.settings["TLS"] != "files":
        return
    unreadable = False
    for key in ("TLS_CERT", "TLS_KEY"):
        path = Path(stack.settings[key])
        try:
            path.read_bytes()
        except OSError as error:
            unreadable = True
            yield Problem(f"{key}={path} cannot be read: {error.strerror}", f"set {key} in .env to a PEM file")
    if unreadable:
        return
    try:
        # an empty password instead of a prompt
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(
            stack.settings["TLS_CERT"], stack.settings["TLS_KEY"], password=""
        )
    except (ssl.SSLError, OSError) as error:
        reason = getattr(error, "reason", None) or str(error)
        why = "does not belong to the certificate" if reason == "KEY_VALUES_MISMATCH" else f"is not usable ({reason})"
        yield Problem(f"the key in TLS_KEY {why}", "TLS_CERT and TLS_KEY must be PEM files of one pair, no passphrase")


def _logo(stack: Stack) -> Iterator[Problem]:
    path = stack.settings["STACK_LOGO"]
    if path and not Path(path).is_file():
        yield Problem(f"STACK_LOGO={path} is no file", "set STACK_LOGO in .env to a picture, or take it out")


def _disk(stack: Stack, engine: Engine) -> Iterator[Problem]:
    root = Path(engine.client.info()["DockerRootDir"])
    if not root.exists():
        return  # the engine is on another machine
    free = shutil.disk_usage(root).free
    wanted = DISK_TO_RUN if _is_built(stack) else DISK_TO_BUILD
    if free < wanted:
        yield Problem(
            f"the disk of {root} is nearly full: {size(free)} free, {size(wanted)} wanted",
            "make room; `docker system df` shows what the engine holds, `docker builder prune` is safe",
        )


def _is_built(stack: Stack) -> bool:
    own = [f"{stack.settings['STACK_NAME']}/{service}" for service in stack.settings.services if service != "sage"]
    images = [*own, stack.settings.sage_image]
    return run(["docker", "image", "inspect", *images], capture=True, check=False).returncode == 0
