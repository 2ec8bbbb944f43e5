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
log = logging.getLogger("tunesmith.worker_log")


def trim(path: Path, most: int = MOST_BYTES, head: int = HEAD_BYTES, tail: int = TAIL_BYTES) -> int:
    """Cut the middle out of a log above `most` bytes; how many bytes that were.

    Daemon and worker may both do it: one at a time. Never raises OSError: a log is worth no run.
    """
    try:
        if path.stat().st_size <= most:
            return 0
        handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
    except FileNotFoundError:
        return 0
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
    kept = os.pread(handle, tail, size - tail)
    beginning = first.rfind(b"\n") + 1 or head
    ending = kept[kept.find(b"\n") + 1 :]
    left_out = size - beginning - len(ending)
    os.ftruncate(handle, beginning)
    data = memoryview(f"[... {left_out} bytes were left out here ...]\n".encode() + ending)
    while data:
        data = data[os.write(handle, data) :]
    return left_out
