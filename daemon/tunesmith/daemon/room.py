"""Room: what is free on this machine now for a run, what there is in all, and whether the system killed for memory."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec

from tunesmith.daemon.api import measuring
from tunesmith.daemon.api.home import Home
from tunesmith.recipes.machine import detect
from tunesmith.recipes.planner import Place, place_of

VMSTAT = Path("/proc/vmstat")


class Room(msgspec.Struct, frozen=True):
    """`place` is as it is now; `disk_bytes` is the whole disk that runs are written to."""

    place: Place
    disk_bytes: int

    @property
    def whole(self) -> Place:
        """The place with nothing else on the machine: what does not fit there fits never."""
        return msgspec.structs.replace(
            self.place,
            free_bytes=self.place.memory_bytes,
            host_free_bytes=self.place.host_memory_bytes,
            disk_free_bytes=self.disk_bytes,
        )


def now(home: Home, device: str) -> Room:
    """For a recipe with training.device `device`; some milliseconds, without an engine."""
    machine = detect(home.root)
    place = place_of(measuring.merged(home, machine), measuring.kept(home, machine), device)
    return Room(place, shutil.disk_usage(home.root).total)


def memory_kills() -> int | None:
    """Processes that the system has killed since it started because memory ran out; None where it does not say.

    Linux counts those of containers' limits here too.
    """
    try:
        lines = VMSTAT.read_text().splitlines()
    except OSError:  # another system
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), None)
