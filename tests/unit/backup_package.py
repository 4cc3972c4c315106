"""The package of the backup's container, as `render` writes it into a stack directory."""

import os
import sys
import tempfile
from pathlib import Path

from unit_support import settings

from stackgen.render import render

_STACK = Path(tempfile.mkdtemp(prefix="stackgen-backup-"))
for path, content in render(settings(), _STACK).items():
    if path.startswith("images/backup/"):
        (_STACK / path).parent.mkdir(parents=True, exist_ok=True)
        (_STACK / path).write_bytes(content)
sys.path.insert(0, str(_STACK / "images/backup"))
# as compose.yaml sets them
os.environ |= {
    "STACK_NAME": "lab", "VOLUME_PREFIX": "jupyterhub-user-", "DOCKER_VOLUMES": "/var/lib/docker/volumes",
    "DATABASE_URL": "sqlite:////srv/jupyterhub/data/jupyterhub.sqlite", "BACKUP_REPOSITORY": "/srv/backup",
}  # fmt: skip
