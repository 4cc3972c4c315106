"""A hub on PostgreSQL, brought in by the operator's own compose.override.yaml."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from backup_support import restic

from stackgen import envfile
from tests.conftest import docker, free_ports, remove, stackgen

DOCKERFILE = """\
FROM {base}
RUN apt-get update && apt-get install -y --no-install-recommends postgresql && rm -rf /var/lib/apt/lists/*
USER postgres
ENV PATH=/usr/lib/postgresql/17/bin:/usr/bin:/bin
RUN initdb -D /tmp/db -A trust -E UTF8 --locale=C.UTF-8 \\
 && echo "host all all all scram-sha-256" >>/tmp/db/pg_hba.conf \\
 && pg_ctl -D /tmp/db -w start && psql -c "CREATE ROLE hub LOGIN PASSWORD 'opensesame'" \\
 && createdb -O hub hub && pg_ctl -D /tmp/db -w stop
CMD ["postgres", "-D", "/tmp/db", "-c", "listen_addresses=*"]
"""

DUMP = "/stackgen/hub.sql"  # in a snapshot
OVERRIDE = """\
services:
  postgres:
    image: {image}
    networks: [backend]
    healthcheck: {{ test: [CMD, pg_isready], interval: 1s, retries: 60 }}
  hub:
    depends_on: {{ postgres: {{ condition: service_healthy }} }}
"""


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "stack"
    remove(tmp_path / "stack", f"p{os.getpid()}")


def test_the_hub_keeps_its_users_in_postgresql(directory: Path) -> None:
    """Accounts live in the operator's own database server, and people log in and compute as usual."""
    name = f"p{os.getpid()}"
    image = f"{name}/postgres"
    base = os.environ.get("STACKGEN_TEST_BASE_IMAGE", "debian:trixie-slim")
    docker("build", "--tag", image, "-", stdin=DOCKERFILE.format(base=base))
    http, https = free_ports(2)
    settings = (
        f"STACK_NAME={name}",
        f"VOLUME_PREFIX={name}-user-",
        f"BASE_IMAGE={base}",
        "BIND_ADDRESS=127.0.0.1",
        f"HTTP_PORT={http}",
        f"HTTPS_PORT={https}",
    )
    done = stackgen(
        *("init", directory, "--secrets", "-"),
        *(word for setting in settings for word in ("--set", setting)),
        stdin="DATABASE_URL=postgresql+psycopg://hub:opensesame@postgres/hub\n",
    )
    assert done.returncode == 0, done.stderr
    (directory / "compose.override.yaml").write_text(OVERRIDE.format(image=image))
    done = stackgen("up", "-C", directory)
    assert done.returncode == 0, done.stderr[-3000:]
    done = stackgen("add-admin", "ada", "--generate", "-C", directory)
    assert done.returncode == 0, done.stderr
    smoke = stackgen("smoke", "--user", "ada", "--password-stdin", "-C", directory, stdin=done.stdout)
    assert smoke.returncode == 0, smoke.stderr
    rows = docker("exec", f"{name}-postgres-1", "psql", "-At", "-c", "SELECT name, admin FROM users", "hub")
    assert rows == "ada|t"

    # A backup has it as it was at one moment, and it can be loaded again.
    done = stackgen("backup", "init", "--repository", directory.parent / "repository", "-C", directory)
    assert done.returncode == 0, done.stderr
    done = stackgen("backup", "run", "-C", directory)
    assert done.returncode == 0, done.stderr
    assert "opensesame" not in done.stderr
    stack_files = ("--project-directory", directory)
    docker("compose", *stack_files, "stop", "hub")
    docker("exec", f"{name}-postgres-1", "psql", "-c", "DROP TABLE users CASCADE", "hub")
    dump = restic(
        f"{name}/backup",
        directory.parent / "repository",
        envfile.read(directory / ".env")["BACKUP_PASSWORD"],
        "dump",
        "latest",
        DUMP,
    )
    (directory / ".stackgen/hub.sql").write_text(dump)
    docker("compose", *stack_files, "run", "--rm", "--no-deps", "backup", "load-database")
    assert docker("exec", f"{name}-postgres-1", "psql", "-At", "-c", "SELECT name, admin FROM users", "hub") == rows
