"""What the backup container does, on restic and Python's standard library: `docker compose run --rm backup VERB`."""
