"""Faults of ours: the traceback goes to a log in the home, and the person gets its path."""

from __future__ import annotations

import traceback
from pathlib import Path

from tunesmith.daemon.api.home import Home

LARGEST = 1 << 20  # bytes; a log beyond that begins anew, as a fault in a loop would fill the disk


def keep(error: BaseException, name: str, home: Home | None = None) -> Path:
    """Append the traceback of `error` to the log `name`; its path. Raises OSError when it cannot be written."""
    log = (home or Home.find()).root / name
    log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    mode = "w" if log.exists() and log.stat().st_size > LARGEST else "a"
    with log.open(mode, encoding="utf-8", errors="backslashreplace") as file:
        file.write("".join(traceback.format_exception(error)))
    return log
