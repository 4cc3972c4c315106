"""The hub's database at an upgrade: copied, upgraded and brought back, in short-lived containers of the hub's image."""

import json
from pathlib import Path

from stackgen import compose, database_copy
from stackgen.engine import ONEOFF_LABEL, PROJECT_LABEL, SERVICE_LABEL, Engine
from stackgen.errors import StackgenError
from stackgen.stack import Stack


def stop_hub(stack: Stack, engine: Engine) -> None:
    """Stop the hub and whatever an interrupted upgrade left of its own; users' servers and nginx go on."""
    compose.run(compose.stop(stack.directory, "hub"))
    project = {PROJECT_LABEL: stack.settings["STACK_NAME"], ONEOFF_LABEL: "True", SERVICE_LABEL: "hub"}
    for container in engine.containers(project):
        engine.remove_container(container.name)


def copy(stack: Stack, identity: str) -> dict[str, str]:
    """Copy a database in SQLite, once for each upgrade; what kind it is, and in which state."""
    return _run(stack, "copy", identity)


def restore(stack: Stack, identity: str) -> dict[str, str]:
    """Bring the copy back if the tables have changed since; what is there then.

    Where they have not, the database is left as it is, with all that people have done since.
    """
    return _run(stack, "restore", identity)


def upgrade(stack: Stack) -> None:
    """Let JupyterHub upgrade its own tables; those of its plug-ins upgrade themselves when the hub starts."""
    program = ("jupyterhub", "upgrade-db", "--config", "/etc/jupyterhub/jupyterhub_config.py")
    done = compose.run(compose.once(stack.directory, "hub", *program), capture=True, check=False)
    if done.returncode != 0:
        raise StackgenError("the hub's database could not be upgraded", (done.stdout + done.stderr).strip()[-2000:])


def _run(stack: Stack, command: str, identity: str) -> dict[str, str]:
    script = Path(database_copy.__file__).read_text(encoding="utf-8")
    program = ("python", "-", command, f"before-upgrade-{identity}.sqlite")
    done = compose.run(compose.once(stack.directory, "hub", *program), stdin=script, capture=True, check=False)
    if done.returncode != 0:
        raise StackgenError(f"the hub's database: {command} failed", done.stderr.strip()[-2000:])
    found: dict[str, str] = json.loads(done.stdout.strip().splitlines()[-1])
    return found
