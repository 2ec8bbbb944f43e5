"""A file in the place of another, whole after a power cut too; and no more of a given file than is asked for."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

MODE = 0o600  # a person's own words: nobody else reads them


def replace(path: Path, data: bytes) -> None:
    """Raises OSError, and the old content stays."""
    part = path.with_name(f".{path.name}-{os.getpid()}")
    try:
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, MODE)
        with open(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(handle)
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """What was renamed in `folder` is still so after a power cut. Raises OSError."""
    handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def beginning(path: Path, most: int) -> bytes:
    """At most `most` bytes of a file that a person named, and one more where it has more.

    Raises OSError, also for what is no file: a pipe could be read for ever; ValueError for a NUL in the name.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "it is no file", str(path))
    with path.open("rb") as file:
        return file.read(most + 1)
