"""The package of the backup's container, as `render` writes it into a stack directory."""

import importlib
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from unit_support import settings

from stackgen.render import render

_STACK = Path(tempfile.mkdtemp(prefix="stackgen-backup-"))
for path, content in render(settings(), _STACK).items():
    if path.startswith("images/backup/"):
        (_STACK / path).parent.mkdir(parents=True, exist_ok=True)
        (_STACK / path).write_bytes(content)
sys.path.insert(0, str(_STACK / "images/backup"))
# as compose.yaml sets them
ENVIRONMENT = {
    "STACK_NAME": "lab", "VOLUME_PREFIX": "jupyterhub-user-", "DOCKER_VOLUMES": "/var/lib/docker/volumes",
    "DATABASE_URL": "sqlite:////srv/jupyterhub/data/jupyterhub.sqlite", "BACKUP_REPOSITORY": "/srv/backup",
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def container() -> Iterator[None]:
    """The container's environment, for the tests of a module and no others: Compose would take it for a stack's."""
    with pytest.MonkeyPatch.context() as patch:
        for key, value in ENVIRONMENT.items():
            patch.setenv(key, value)
        yield


with pytest.MonkeyPatch.context() as patch:
    for key, value in ENVIRONMENT.items():
        patch.setenv(key, value)
    importlib.import_module("stackgen_backup.restic")  # which reads it when it is imported
