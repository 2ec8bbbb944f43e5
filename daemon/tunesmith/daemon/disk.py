"""Room on the disk, looked at before anything large is written: half a file costs the same and helps nobody."""

from __future__ import annotations

import shutil
from pathlib import Path

from tunesmith.recipes.errors import MachineError
from tunesmith.recipes.units import bytes_text

HINT = "Free some space, or set TUNESMITH_HOME to a folder on a larger disk."


def refuse_full(folder: Path, needed: int, what: str, hint: str = HINT) -> None:
    """Raises MachineError (disk_full) when `needed` bytes for `what` are not free where `folder` is."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise MachineError(
            f"{folder} has {bytes_text(free)} free; {what} about {bytes_text(needed)}", hint, "disk_full"
        )
