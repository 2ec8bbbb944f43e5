"""Files that a person's own words go to: readable by nobody else, and whole after a power cut too."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tunesmith.daemon.api import whole_files
from tunesmith.daemon.api.disk_errors import writing
from tunesmith.daemon.api.home import private_folder
from tunesmith.recipes.errors import MachineError


def write(path: Path, data: bytes) -> None:
    """In place of what was there. Raises MachineError, and the old content stays; DaemonError for a foreign folder."""
    with writing(path):
        private_folder(path.parent)
        whole_files.replace(path, data)


def append(path: Path, line: bytes) -> int:
    """How many lines it has then. Raises MachineError, and the file is as it was; DaemonError for a foreign folder."""
    with writing(path):
        private_folder(path.parent)
        with _held(path, os.O_CREAT) as handle:
            before = _content(handle)
            gap = b"" if not before or before.endswith(b"\n") else b"\n"  # as some editors leave a file
            try:
                written = gap + line
                if os.pwrite(handle, written, len(before)) != len(written):
                    raise OSError(
                        errno.ENOSPC, os.strerror(errno.ENOSPC)
                    )  # a disk that has room for a part of it is full
                os.fsync(handle)
            except OSError:
                os.ftruncate(handle, len(before))
                raise
        whole_files.sync_folder(path.parent)
        return (before + gap + line).count(b"\n")


def take_back(path: Path, line: bytes) -> int:
    """Remove `line`, the last one; how many are left. Raises MachineError, also where it is not the last any more."""
    with writing(path), _held(path) as handle:
        content = _content(handle)
        if not content.endswith(line) or content[: -len(line)][-1:] not in (b"", b"\n"):
            raise MachineError(f"{path} does not end with that row any more", "Remove it by hand.", "row_gone")
        os.ftruncate(handle, len(content) - len(line))
        os.fsync(handle)
        return content.count(b"\n") - 1


@contextmanager
def _held(path: Path, more: int = 0) -> Iterator[int]:
    """Open, while no other process that asks so has it."""
    handle = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | more, whole_files.MODE)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield handle
    finally:
        os.close(handle)


def _content(handle: int) -> bytes:
    with open(handle, "rb", closefd=False) as file:
        file.seek(0)
        return file.read()
