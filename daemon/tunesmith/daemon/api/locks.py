"""A lock between processes on a file: the system lets go of it when its process ends, however that comes about."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

LOOK_EVERY_S = 0.2


@contextmanager
def locked(path: Path, waiting: Callable[[str], None] | None = None, *, shared: bool = False) -> Iterator[None]:
    """Hold the lock `path`, with others where it is `shared`.

    While others have it, `waiting(process number)` is called again and again; it may raise to give up.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    with path.open("a+") as file:
        while True:
            try:
                fcntl.flock(file, kind | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if waiting is not None:
                    file.seek(0)
                    waiting(file.read(20).strip())
                time.sleep(LOOK_EVERY_S)
        if not shared:
            file.truncate(0)
            file.write(f"{os.getpid()}\n")
            file.flush()
        yield
