"""Copies the hub's database before an upgrade, and brings it back.

It runs in a short-lived container of the hub's image, old or new, from its standard input: `python - copy NAME` or
`python - restore NAME`. What it found is a line of JSON: the kind of database, the revision of JupyterHub's tables, and
for SQLite the whole schema's digest.
"""

import hashlib
import json
import os
import sqlite3
import sys
from contextlib import closing
from pathlib import Path


def main(command: str, name: str) -> dict[str, str]:
    """Copy the database to a file of that name beside it, once; or restore from there what has another schema."""
    from sqlalchemy.engine import make_url

    url = make_url(os.environ["DATABASE_URL"])
    if url.get_backend_name() != "sqlite":
        return {"kind": url.get_backend_name(), "revision": server_revision(os.environ["DATABASE_URL"])}
    if not url.database or not Path(url.database).exists():
        return {"kind": "none"}
    live, copy = Path(url.database), Path(url.database).with_name(name)
    if command == "copy":
        if not copy.exists():
            for old in live.parent.glob("before-upgrade-*.sqlite*"):
                old.unlink()
            duplicate(live, copy)
    elif copy.exists() and schema(copy) != schema(live):
        for old in live.parent.glob("after-upgrade-*.sqlite*"):
            old.unlink()
        duplicate(live, live.with_name(name.replace("before", "after", 1)))
        fill(live, copy)
    return {"kind": "sqlite", "schema": schema(live)}


def duplicate(source: Path, target: Path) -> None:
    """Copy a database that others may be writing to; the target is whole or not there."""
    temporary = target.with_name(target.name + ".part")
    temporary.unlink(missing_ok=True)
    os.close(os.open(temporary, os.O_CREAT | os.O_WRONLY, 0o600))
    fill(temporary, source)
    temporary.replace(target)


def fill(target: Path, source: Path) -> None:
    """Make one database what another is, in one transaction: after a crash it is still what it was."""
    with closing(sqlite3.connect(source, timeout=60)) as old, closing(sqlite3.connect(target, timeout=60)) as new:
        old.backup(new)


def schema(path: Path) -> str:
    """A digest of the tables, and of the revision that JupyterHub has written down."""
    with closing(sqlite3.connect(path, timeout=60)) as database:
        said = [row[0] for row in database.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name")]
        if any("alembic_version" in statement for statement in said):
            said += [row[0] for row in database.execute("SELECT version_num FROM alembic_version")]
    return hashlib.sha256("\0".join(said).encode()).hexdigest()


def server_revision(url: str) -> str:
    """The revision of JupyterHub's tables on a database server, empty if it has none yet."""
    from sqlalchemy import create_engine, inspect, text

    engine = create_engine(url)
    with engine.connect() as connection:
        if not inspect(engine).has_table("alembic_version"):
            return ""
        return str(connection.execute(text("SELECT version_num FROM alembic_version")).scalar() or "")


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
