"""The log of a worker: of all that libraries print, however much, the beginning and the end are kept.

A worker writes straight into the file, appending, since it outlives the daemon that could read a pipe; so the file is
cut from outside, and what it prints meanwhile lands behind the cut.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
from pathlib import Path

MOST_BYTES = 50_000_000
HEAD_BYTES = 2_000_000  # how it began: versions, warnings, the first traceback
TAIL_BYTES = 8_000_000  # how it ended
ROUNDS = 10  # a flood that is faster than we read has no end to wait for
log = logging.getLogger("tunesmith.worker_log")


def too_large(path: Path, most: int = MOST_BYTES) -> bool:
    try:
        return path.stat().st_size > most
    except OSError:
        return False


def trim(path: Path, most: int = MOST_BYTES, head: int = HEAD_BYTES, tail: int = TAIL_BYTES) -> int:
    """Cut the middle out of a log above `most` bytes; how many bytes that were.

    Daemon and worker may both do it: one at a time. Never raises OSError: a log is worth no run.
    """
    if not too_large(path, most):
        return 0
    try:
        handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
    except OSError as error:
        log.warning("%s cannot be cut: %s", path, error)
        return 0
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return _cut(handle, head, tail) if os.fstat(handle).st_size > most else 0
    except OSError as error:
        if error.errno not in (errno.EWOULDBLOCK, errno.EAGAIN):
            log.warning("%s cannot be cut: %s", path, error)
        return 0
    finally:
        os.close(handle)


def _cut(handle: int, head: int, tail: int) -> int:
    size = os.fstat(handle).st_size
    first = os.pread(handle, head, 0)
    pieces = [os.pread(handle, tail, size - tail)]
    for _ in range(ROUNDS):  # what came while we read; what comes in the moment before the cut is lost
        more = os.pread(handle, tail, size)
        if not more:
            break
        pieces.append(more)
        size += len(more)
    beginning = first.rfind(b"\n") + 1 or head
    os.ftruncate(handle, beginning)
    kept = b"".join(pieces)[-tail:]
    ending = kept[kept.find(b"\n") + 1 :]
    left_out = size - beginning - len(ending)
    mark = f"[... {left_out} bytes were left out here ...]\n".encode()
    _append(handle, mark + ending)
    # A writer that waited for the cut comes before us: what it said belongs to the end.
    early = max(0, os.pread(handle, tail, beginning).find(mark))
    _append(handle, os.pread(handle, early, beginning))
    return left_out


def _append(handle: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]
