"""Where things are in the container. Snapshots hold these paths, so they never change."""

from pathlib import Path

VOLUMES = Path("/volumes")  # the engine's folder of volumes, read-only: NAME/_data is what a container sees
STACK = Path("/stack")  # the stack directory, read-only
OPERATOR = Path("/operator")  # files outside of it that settings name, each called as its setting
WORK = Path("/stackgen")  # the copy of the hub's database, and the manifest
STATE = Path("/state")  # .stackgen/backup of the stack directory
REPOSITORY = Path("/repository")  # a repository in a local folder
SCRATCH = Path("/scratch")  # empty, for trials; only `check --restore` has it
HUB_DATA = Path("/srv/jupyterhub/data")  # as the hub's own container has it

# While something is restored, and laid out as a snapshot is:
STAGING = Path("/staging")  # where restic puts it; volumes/NAME is a folder of the engine's folder of that volume
TARGET = Path("/target")  # volumes/NAME: that folder of the engine's; operator/KEY: the folder of the file of KEY

MANIFEST = WORK / "manifest.json"
