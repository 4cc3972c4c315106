"""The hub's own package, as `render` writes it into a stack directory, and a hub's database to use it on."""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from unit_support import settings

from stackgen.render import render

_STACK = Path(tempfile.mkdtemp(prefix="stackgen-hub-"))
PACKAGE = _STACK / "images/hub/stackgen_hub"
for path, content in render(settings(), _STACK).items():
    if path.startswith("images/hub/"):
        (_STACK / path).parent.mkdir(parents=True, exist_ok=True)
        (_STACK / path).write_bytes(content)
sys.path[:0] = [str(_STACK / "images/hub"), str(_STACK / "images/hub/piculatorauthenticator/src")]

from jupyterhub import orm  # noqa: E402
from sqlalchemy.orm import Session  # noqa: E402
from stackgen_hub import people  # noqa: E402, F401  # its tables must be known before the database is made


@contextmanager
def database() -> Iterator[Session]:
    """A hub's database in memory, with the roles that the hub makes at its start."""
    with orm.new_session_factory("sqlite:///:memory:")() as session:
        session.add_all([orm.Role(name="admin"), orm.Role(name="user")])
        session.commit()
        yield session
