"""What a worker may take: the machine's memory but a reserve, first to end when that runs out, and no core files."""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path

from tunesmith.daemon import cgroup
from tunesmith.recipes.machine import cpu

# The system picks whom to end by memory in thousandths, plus this: a worker goes before the programs of a person (0
# to 300) and before the daemon, which goes on and says what happened.
OOM_SCORE = 800
RESERVE_SHARE, RESERVE_BYTES = 0.05, 500_000_000  # kept for everything else
REMOVED_WITHIN_S = 5.0
log = logging.getLogger("tunesmith.limits")


class Limits:
    """`nice`: how much a worker stands back behind other programs, 0 (no more than the daemon) to 19."""

    def __init__(self, nice: int, place: Path | None) -> None:
        self._nice = nice
        self._place = place
        if place is not None:
            cgroup.prepare(place)

    def put_on(self, pid: int, name: str) -> str:
        """Limit a process that has not begun yet; its control group, empty where there is none."""
        first_to_end(pid)
        if self._nice > os.getpriority(os.PRIO_PROCESS, pid):  # less than one has takes rights
            os.setpriority(os.PRIO_PROCESS, pid, min(19, self._nice))
        group = cgroup.make(self._place, name, memory_for_a_worker()) if self._place is not None else None
        if group is None:
            return ""
        try:
            cgroup.enter(group, pid)
        except OSError as error:
            log.warning("worker %d stays in the daemon's control group: %s", pid, error)
            cgroup.remove(group)
            return ""
        return str(group)


async def take_off(group: str) -> None:
    """Remove the control group of a worker that is gone, once the last process in it is."""
    waited = 0.0
    while group and not cgroup.remove(Path(group)) and waited < REMOVED_WITHIN_S:
        await asyncio.sleep(0.05)
        waited += 0.05


def memory_for_a_worker() -> int:
    """Bytes."""
    total, _ = cpu.memory()
    return int(total - max(RESERVE_BYTES, RESERVE_SHARE * total))


def first_to_end(pid: int) -> None:
    """Of all processes, when memory runs out. Raising one's own share of the blame needs no rights."""
    path = Path(f"/proc/{pid}/oom_score_adj")
    try:
        if int(path.read_text()) < OOM_SCORE:
            path.write_text(str(OOM_SCORE))
    except (OSError, ValueError) as error:  # another system, or a container that hides it
        log.debug("process %d cannot be made the first to end: %s", pid, error)
