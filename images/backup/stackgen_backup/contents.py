"""What belongs to the stack on this machine: its volumes, and the manifest that says whose they are."""

import json
import os
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from stackgen_backup.names import volume_owner
from stackgen_backup.places import MANIFEST, OPERATOR, STATE, VOLUMES, WORK
from stackgen_backup.report import SETTINGS, BackupError
from stackgen_backup.version import VERSION

FORMAT = 1
OWN = ("hub-data", "nginx-state", "acme", "pam-accounts", "shared")  # volumes of compose.yaml
STACK_LABEL, USER_LABEL = "stackgen.stack", "stackgen.user"
COMPOSE_LABELS = ("com.docker.compose.project", "com.docker.compose.volume")


@dataclass
class Contents:
    """What a snapshot will hold, and what it should and cannot."""

    volumes: dict[str, dict] = field(
        default_factory=dict
    )  # by name: owner (empty for the stack's own), labels, options
    problems: list[str] = field(default_factory=list)

    @property
    def paths(self) -> list[str]:
        """The folders of the volumes."""
        return [str(VOLUMES / name / "_data") for name in self.volumes]


def find() -> Contents:
    """The stack's volumes. Raises BackupError if /volumes is not the engine's folder."""
    stack, prefix = os.environ["STACK_NAME"], os.environ["VOLUME_PREFIX"]
    if not (VOLUMES / f"{stack}-hub-data" / "_data").is_dir():
        raise BackupError(
            f"DOCKER_VOLUMES={os.environ['DOCKER_VOLUMES']} is not where the engine keeps its volumes",
            "`docker info` shows Docker Root Dir; set DOCKER_VOLUMES in .env to the folder volumes in it",
            SETTINGS,
        )
    known = known_volumes()
    found = Contents()
    names = {entry.name for entry in os.scandir(VOLUMES) if entry.is_dir()}
    for name in sorted(names | known.keys()):
        service, labels = name.removeprefix(f"{stack}-"), known.get(name, {}).get("labels") or {}
        if name != service and service in OWN:
            entry = {"owner": "", "labels": labels or dict(zip(COMPOSE_LABELS, (stack, service), strict=True))}
        else:
            owner = volume_owner(prefix, name)
            if owner is None or labels.get(STACK_LABEL, stack) != stack:
                continue
            owner = labels.get(USER_LABEL, owner)
            options = known.get(name, {}).get("options") or {}
            entry = {"owner": owner, "labels": {STACK_LABEL: stack, USER_LABEL: owner} | labels, "options": options}
        problem = unreadable(name, known.get(name, {}).get("driver", "local"))
        if problem:
            found.problems.append(f"the volume {name} is not in the backup: {problem}")
        elif name in names:
            found.volumes[name] = entry
    return found


def unreadable(name: str, driver: str) -> str:
    """Why a volume's files are not to be seen below /volumes; empty if they are."""
    folder = VOLUMES / name
    if driver != "local":
        return f"its driver {driver} keeps the files elsewhere"
    if not folder.is_dir():
        return ""  # it was removed since the engine was asked
    try:
        options = json.loads((folder / "opts.json").read_bytes())
    except FileNotFoundError:
        options = {}
    mounted = any(options.get(key) for key in ("MountType", "MountDevice", "MountOpts"))
    if mounted and not (folder / "_data").is_mount():
        return f"it is a mount of {options.get('MountDevice')}, and not mounted while no container uses it"
    return "" if (folder / "_data").is_dir() else f"{name}/_data is missing in the engine's folder of volumes"


def known_volumes() -> dict[str, dict]:
    """The volumes as stackgen last heard of them from the engine, which this container cannot ask: driver, labels."""
    try:
        known = json.loads((STATE / "volumes.json").read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def operator_files() -> dict[str, str]:
    """The files outside of the stack directory that settings name, by setting."""
    return {path.name: os.environ.get(path.name, "") for path in sorted(OPERATOR.glob("*"))}


def write_manifest(contents: Contents, database: dict) -> Path:
    """Write what the snapshot says of itself."""
    manifest = {
        "format": FORMAT,
        "stackgen": VERSION,
        "stack": os.environ["STACK_NAME"],
        "prefix": os.environ["VOLUME_PREFIX"],
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "database": database,
        "operator": operator_files(),
        **asdict(contents),
    }
    WORK.mkdir(exist_ok=True)
    MANIFEST.write_text(json.dumps(manifest, indent=1, ensure_ascii=False))
    return MANIFEST
