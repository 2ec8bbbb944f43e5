"""What a client said beside the recipe, in the job's folder: the file `force`, and `submitted.json` with the rest."""

from __future__ import annotations

from pathlib import Path

import msgspec

from tunesmith.daemon import versions
from tunesmith.daemon.publish import write_whole
from tunesmith.recipes.planner import Rows

FILE = "submitted.json"
FORCE = "force"  # an empty file: the worker looks for it too
FORMAT = "tunesmith-submitted"
FORMAT_VERSION = 1


class Submitted(msgspec.Struct, frozen=True):
    """`force`: start whatever the forecast says. `rows` is what the client knows of the data, None when nothing. `key`
    is the submit's, so that a database made anew from folders still knows which job it was.

    `hub` is asked first for a model that names none, `offline` forbids connections; "" and False leave both to the
    daemon's environment.
    """

    force: bool = False
    rows: Rows | None = None
    key: str = ""
    hub: str = ""
    offline: bool = False


class _Kept(msgspec.Struct, frozen=True):
    """`submitted.json`."""

    rows: Rows | None = None
    key: str = ""
    hub: str = ""
    offline: bool = False
    format: str = FORMAT
    version: int = FORMAT_VERSION


def read(folder: Path) -> Submitted:
    """Of the job in `folder`; nothing was said where an older version accepted it or the file is damaged.

    Raises JobError when a newer version wrote it.
    """
    try:
        kept = msgspec.json.decode((folder / FILE).read_bytes(), type=_Kept)
    except (FileNotFoundError, msgspec.DecodeError):
        kept = _Kept()
    versions.refuse_newer(folder / FILE, kept.version, FORMAT_VERSION)
    return Submitted((folder / FORCE).exists(), kept.rows, kept.key, kept.hub, kept.offline)


def write(folder: Path, said: Submitted) -> None:
    """Each file whole or not at all; a force is never taken back. Raises OSError."""
    write_whole(folder / FILE, msgspec.json.encode(_Kept(said.rows, said.key, said.hub, said.offline)))
    if said.force:
        write_whole(folder / FORCE, b"")
