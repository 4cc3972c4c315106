"""Bringing a stack up and down."""

import time

import requests

from stackgen import compose, machine
from stackgen.apply import apply
from stackgen.engine import Engine
from stackgen.errors import Problem, StackgenError
from stackgen.front import FrontDoor
from stackgen.hubapi import Hub
from stackgen.journal import claim
from stackgen.output import say
from stackgen.rendering import conflict, pending
from stackgen.stack import Stack
from stackgen.status import status

LOGIN_PAGE_SECONDS = 60
ERASE_LINE = "\x1b[2K"  # Compose 2.26 begins every line of a log with it, terminal or not


def up(stack: Stack, engine: Engine) -> None:
    """Render, build, start, and wait until the login page answers. Raises StackgenError where it stops."""
    changes = pending(stack)  # finds invalid settings before anything else
    claim(stack.directory)
    if warning := stack.check_mode():
        say(f"warning: {warning}")
    machine.check(stack, engine)
    report = apply(changes, stack.directory)
    for path in report.written:
        say(f"rendered {path}")
    if report.conflicts:
        raise conflict(report)
    build(stack, engine)
    start(stack, engine)


def build(stack: Stack, engine: Engine) -> None:
    """Build every image, and let another one for users prove itself while they work. Raises StackgenError."""
    say("building images (the first time takes some minutes)")
    compose.run(compose.build(stack.directory, *stack.settings.built))
    _prove_first(stack, engine)


def start(stack: Stack, engine: Engine) -> None:
    """Start what is not as the files say, and wait until the login page answers. Raises StackgenError."""
    say("starting")
    _end_schedule(stack, engine)
    if compose.run(compose.up(stack.directory), check=False).returncode != 0:
        _explain(stack, engine)
    await_login_page(stack, engine)
    # a hub that was not restarted has not read the file of the admins again
    Hub.of(stack.settings, engine).follow_admins(stack.settings.admins)


def _prove_first(stack: Stack, engine: Engine) -> None:
    """While users work, another image for them proves itself before anything is touched.

    Compose alone would take the hub down, find that the image does not compute, and leave it down.
    """
    services = engine.services(stack.settings["STACK_NAME"])
    hub, sage = services.get("hub"), services.get("sage")
    image = stack.settings.sage_image
    if not hub or hub.state != "running" or (sage and sage.image_id == engine.image_id(image)):
        return
    say(f"proving {image}")
    if compose.run(compose.once(stack.directory, "sage"), check=False).returncode != 0:
        raise StackgenError(f"the image {image} cannot compute", "see above; the stack goes on as it was")


def _end_schedule(stack: Stack, engine: Engine) -> None:
    """Remove the service's container if BACKUP_SCHEDULE is gone. Compose does not take it for an orphan."""
    service = engine.services(stack.settings["STACK_NAME"]).get("backup")
    if service and "backup" not in stack.settings.services:
        engine.remove_container(service.name)


def _explain(stack: Stack, engine: Engine) -> None:
    """Raise the error that names each service that is not as it should be, with the end of its log.

    Backups that fail are told of, and keep nobody from working.
    """
    words = status(stack.settings, engine).services
    backup = words.pop("backup", "")
    failed = [name for name in words if words[name] not in ("healthy", "running", "proved", "created", "missing")]
    ended = [name for name in failed if words[name] != "starting"]
    if not ended and backup == "unhealthy":
        say("warning: backups fail: stackgen logs backup")
        return
    problems = []
    for service in ended or failed:  # what starts may only have been waiting for the others
        logs = compose.logs(stack.directory, [service], follow=False, tail="15")
        said = compose.run(logs, capture=True, check=False).stdout.replace(ERASE_LINE, "")
        problems.append(Problem(f"{service} is {words[service]}", f"the end of its log says why:\n{said}"))
    raise StackgenError(problems or [Problem("the stack did not start", "Compose says above why")])


def await_login_page(stack: Stack, engine: Engine) -> None:
    """Wait until users can log in, for a minute at most."""
    end = time.monotonic() + LOGIN_PAGE_SECONDS
    while time.monotonic() < end:
        front = FrontDoor.of(stack.settings, engine)  # anew each time: the certificate may just have been replaced
        try:
            if front.session().get(f"{front.url}/hub/login", timeout=10).status_code == 200:
                return
        except requests.RequestException:
            pass
        time.sleep(0.5)
    raise StackgenError("the login page does not answer", "see: stackgen status, stackgen logs")


def down(stack: Stack, engine: Engine) -> int:
    """Stop the users' servers and the services; no volume is removed. The number of users' servers stopped."""
    servers = engine.user_servers(stack.settings["STACK_NAME"])
    for server in servers:
        say(f"stopping {server.name}")
        engine.remove_container(server.name)
    compose.run(compose.down(stack.directory))
    return sum(server.state == "running" for server in servers)
