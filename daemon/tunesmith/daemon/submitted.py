"""`submitted.json` in a job's folder: what a client said beside the recipe, for the queue and for the worker."""

from __future__ import annotations

from pathlib import Path

import msgspec

from tunesmith.daemon.publish import write_whole
from tunesmith.recipes.planner import Rows

FILE = "submitted.json"


class Submitted(msgspec.Struct, frozen=True):
    """`force`: start whatever the forecast says. `rows` is what the client knows of the data, None when nothing."""

    force: bool = False
    rows: Rows | None = None


def read(folder: Path) -> Submitted:
    """Of the job in `folder`; nothing was said where an older version accepted it or the file is damaged."""
    try:
        return msgspec.json.decode((folder / FILE).read_bytes(), type=Submitted)
    except (FileNotFoundError, msgspec.DecodeError):
        return Submitted()


def write(folder: Path, said: Submitted) -> None:
    """Whole or not at all. Raises OSError."""
    write_whole(folder / FILE, msgspec.json.encode(said))
