"""What a disk refuses, as a person should read it."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

from tunesmith.recipes.errors import MachineError

FULL = (errno.ENOSPC, errno.EDQUOT)


def full(root: Path) -> MachineError:
    return MachineError(f"The disk of {root} is full", "Free some space, then try again.", "disk_full")


def refused(error: OSError, path: Path) -> MachineError:
    """For `error`, met while `path` was written."""
    if error.errno in FULL:
        return full(path.parent)
    what = error.filename or path.parent
    return MachineError(
        f"The disk refused: {what}: {error.strerror or error}",
        "Look at the disk and at the rights of that folder; all goes on once it works again.",
        "disk_error",
    )


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """What the disk refuses meanwhile is raised as MachineError (disk_full, disk_error)."""
    try:
        yield
    except OSError as error:
        raise refused(error, path) from error
