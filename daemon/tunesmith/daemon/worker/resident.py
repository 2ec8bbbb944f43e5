"""Memory of this process that is resident: now, and at most since it was last forgotten."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

OURS = Path("/proc/self")
FORGET = "5"  # proc(5): resets the high-water mark of resident memory


def forget_peak() -> None:
    """From here on `peak` is of what follows, where the system lets go of it (Linux); elsewhere it is the process's."""
    try:
        (OURS / "clear_refs").write_text(FORGET, "ascii")
    except OSError:  # no Linux, or a container that does not allow it
        return


def now() -> int:
    """Bytes."""
    import psutil

    return int(psutil.Process().memory_info().rss)


def peak() -> int:
    """Bytes."""
    status = OURS / "status"
    if status.exists():  # getrusage's would be the parent's where that was larger when it started us
        line = next(line for line in status.read_text("ascii").splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024
