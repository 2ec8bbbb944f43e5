"""What a client said beside the recipe, in the job's folder: the file `force`, and `submitted.json` with the rows."""

from __future__ import annotations

from pathlib import Path

import msgspec

from tunesmith.daemon.publish import write_whole
from tunesmith.recipes.planner import Rows

FILE = "submitted.json"
FORCE = "force"  # an empty file: the worker looks for it too


class Submitted(msgspec.Struct, frozen=True):
    """`force`: start whatever the forecast says. `rows` is what the client knows of the data, None when nothing."""

    force: bool = False
    rows: Rows | None = None


class _Kept(msgspec.Struct, frozen=True):
    """`submitted.json`."""

    rows: Rows | None = None


def read(folder: Path) -> Submitted:
    """Of the job in `folder`; nothing was said where an older version accepted it or the file is damaged."""
    try:
        rows = msgspec.json.decode((folder / FILE).read_bytes(), type=_Kept).rows
    except (FileNotFoundError, msgspec.DecodeError):
        rows = None
    return Submitted((folder / FORCE).exists(), rows)


def write(folder: Path, said: Submitted) -> None:
    """Each file whole or not at all; a force is never taken back. Raises OSError."""
    write_whole(folder / FILE, msgspec.json.encode(_Kept(said.rows)))
    if said.force:
        write_whole(folder / FORCE, b"")
