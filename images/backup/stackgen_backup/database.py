"""A consistent copy of the hub's database, while the hub works with it."""

import os
import shutil
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote, urlsplit

from stackgen_backup.places import HUB_DATA, STACK, WORK
from stackgen_backup.report import SETTINGS, BackupError, say

BUSY_SECONDS = 60
SQLITE_COPY, POSTGRESQL_COPY = WORK / "hub.sqlite", WORK / "hub.sql"


def kind() -> str:
    """`sqlite` or `postgresql`. Raises BackupError for what cannot be copied from here."""
    scheme = os.environ["DATABASE_URL"].partition(":")[0].partition("+")[0]
    if scheme == "sqlite":
        original()
        return scheme
    if scheme in ("postgresql", "postgres"):
        return "postgresql"
    raise BackupError(
        f"DATABASE_URL names a database of the kind {scheme}, of which stackgen cannot make a consistent copy",
        "backups know SQLite in the hub's volume, and PostgreSQL",
        SETTINGS,
    )


def is_there() -> bool:
    """Whether the hub has made its database; of PostgreSQL its own server knows."""
    return kind() != "sqlite" or original().exists()


def original() -> Path:
    """The file of SQLite. Raises BackupError if it is not in the hub's volume."""
    path = Path(unquote(urlsplit(os.environ["DATABASE_URL"]).path.removeprefix("/")))
    if not path.is_absolute():
        path = Path("/srv/jupyterhub") / path
    if not path.is_relative_to(HUB_DATA):
        raise BackupError(
            f"the database {path} is not in the hub's volume", f"DATABASE_URL must name a file in {HUB_DATA}", SETTINGS
        )
    return path


def copy() -> tuple[dict, str]:
    """Put the copy into its place: what the manifest says of it, and what is wrong with it (mostly nothing)."""
    WORK.mkdir(exist_ok=True)
    if kind() == "postgresql":
        return {"kind": "postgresql", "copy": str(POSTGRESQL_COPY)}, _dump()
    entry = {"kind": "sqlite", "copy": str(SQLITE_COPY), "name": str(original().relative_to(HUB_DATA))}
    return entry, _copy_sqlite(original(), SQLITE_COPY)


def _copy_sqlite(source: Path, target: Path) -> str:
    if not source.exists():
        return f"the hub has no database yet: {source} is missing"
    end = time.monotonic() + BUSY_SECONDS

    def check(status: int, *_: int) -> None:
        if status in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED) and time.monotonic() > end:
            raise TimeoutError

    try:
        # not read-only: what a killed hub left half-written is first rolled back, as the hub itself would do
        with (
            closing(sqlite3.connect(f"file:{source}?mode=rw", uri=True)) as live,
            closing(sqlite3.connect(target)) as new,
        ):
            live.backup(new, progress=check)
            shutil.copymode(source, target)
            (verdict,) = new.execute("PRAGMA integrity_check(1)").fetchone()
    except TimeoutError:
        return f"the hub's database is locked since {BUSY_SECONDS} seconds, and was not copied"
    except sqlite3.Error as error:
        return f"the hub's database cannot be copied: {error}"
    return "" if verdict == "ok" else f"the hub's database is damaged: {verdict}"


def postgresql(program: str) -> tuple[list[str], dict[str, str]]:
    """The arguments and environment with which a client of PostgreSQL reaches the hub's database."""
    url = urlsplit(os.environ["DATABASE_URL"])
    environment = {
        "PGHOST": unquote(url.hostname or ""),
        "PGPORT": str(url.port or ""),
        "PGUSER": unquote(url.username or ""),
        "PGPASSWORD": unquote(url.password or ""),  # not in the arguments, which others can read
        "PGDATABASE": unquote(url.path.removeprefix("/")),
        "PGCONNECT_TIMEOUT": "30",
    }
    return [program, "--no-password"], os.environ | {key: value for key, value in environment.items() if value}


def _dump() -> str:
    arguments, environment = postgresql("pg_dump")
    # Plain text: restic compresses and finds again what has not changed, which it could not in a compressed archive.
    options = ["--clean", "--if-exists", "--no-owner", "--no-privileges", f"--file={POSTGRESQL_COPY}"]
    done = subprocess.run([*arguments, *options], env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        return f"the hub's database was not copied: {done.stderr.strip()}"
    POSTGRESQL_COPY.chmod(0o600)
    return ""


def load() -> int:
    """Load the dump that a restore of the whole stack left, all of it or nothing. Raises BackupError."""
    dump = STACK / ".stackgen" / POSTGRESQL_COPY.name
    if not dump.exists() or kind() != "postgresql":
        raise BackupError("there is no database to load", f"a restore leaves it in {dump.relative_to(STACK)}")
    arguments, environment = postgresql("psql")
    options = ["--no-psqlrc", "--quiet", "--single-transaction", "--set=ON_ERROR_STOP=1", f"--file={dump}"]
    done = subprocess.run([*arguments, *options], env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BackupError(f"nothing was loaded: {done.stderr.strip()}", "is the database server up, and the hub down?")
    say("the hub's database is as it was")
    return 0
