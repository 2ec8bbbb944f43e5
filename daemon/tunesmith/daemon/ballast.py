"""Ballast: a file that is freed when the disk is full, so that what failed can still be written down.

On a full disk SQLite cannot commit anything, so a run that failed for lack of room would seem to run for ever.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from tunesmith.recipes.errors import MachineError

SIZE_BYTES = 4 << 20  # a commit takes a few pages of the database and of its log: room for hundreds
SHARE = 4  # made where it is at most a quarter of what is free: it must not fill the disk itself
LOOK_EVERY_S = 10.0
log = logging.getLogger("tunesmith.ballast")


class Ballast:
    """For one thread, the store's."""

    def __init__(self, path: Path, size: int = SIZE_BYTES) -> None:
        self._path = path
        self._size = size
        self._there = path.exists() and path.stat().st_size == size
        self._looked = -LOOK_EVERY_S

    def keep(self) -> None:
        """Make it where it is missing and there is room; looks at the disk every ten seconds at most."""
        now = time.monotonic()
        if self._there or now - self._looked < LOOK_EVERY_S:
            return
        self._looked = now
        try:
            if shutil.disk_usage(self._path.parent).free >= SHARE * self._size:
                self._make()
                self._there = True
        except OSError as error:
            self._path.unlink(missing_ok=True)
            log.warning("%s cannot be kept back for a full disk: %s", self._path, error)

    def spend(self) -> bool:
        """Free it; False when there is none to free."""
        if not self._there:
            return False
        self._there, self._looked = False, time.monotonic()
        self._path.unlink(missing_ok=True)
        log.error("the disk of %s is full: %d bytes that were kept back are freed", self._path.parent, self._size)
        return True

    def with_room(self, write: Callable[[], None], needed: bool) -> None:
        """`write`; where it is `needed` and the disk full once more in the room kept back. Raises what it raises."""
        try:
            write()
        except MachineError as error:
            if not needed or error.code != "disk_full" or not self.spend():
                raise
            write()
        else:
            self.keep()

    def _make(self) -> None:
        """Really allocated: a file of holes would free nothing."""
        handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            allocated = False
            if hasattr(os, "posix_fallocate"):
                with contextlib.suppress(OSError):  # a file system that cannot; a full one shows when it is written
                    os.posix_fallocate(handle, 0, self._size)
                    allocated = os.fstat(handle).st_blocks * 512 >= self._size
            if not allocated:
                data = memoryview(os.urandom(self._size))  # no zeros: some file systems store none
                while data:
                    data = data[os.write(handle, data) :]
            os.fsync(handle)
        finally:
            os.close(handle)
