"""Where things are in the container. Snapshots hold these paths, so they never change."""

from pathlib import Path

VOLUMES = Path("/volumes")  # the engine's folder of volumes, read-only: NAME/_data is what a container sees
STACK = Path("/stack")  # the stack directory, read-only
OPERATOR = Path("/operator")  # files outside of it that settings name, each called as its setting
WORK = Path("/work")  # the copy of the hub's database, and the manifest
STATE = Path("/state")  # .stackgen/backup of the stack directory
REPOSITORY = Path("/repository")  # a repository in a local folder
HUB_DATA = Path("/srv/jupyterhub/data")  # as the hub's own container has it

MANIFEST = WORK / "manifest.json"
