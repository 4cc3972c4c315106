"""A notebook that shows newcomers around, in the language of the stack."""

import os
import shutil
from pathlib import Path

WELCOME = Path("/opt/stackgen/welcome")


def welcome(volume: Path) -> None:
    """Put the welcome notebook into a volume that is empty, so only into a new user's. Raises OSError."""
    if not any(volume.iterdir()):
        for file in (WELCOME / os.environ.get("STACKGEN_LANGUAGE", "en")).iterdir():
            shutil.copyfile(file, volume / file.name)
