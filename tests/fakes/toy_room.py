"""Room as a test wants it: a machine with plenty of everything, with what `room.json` in the home changes of that.

Its keys are fields of Place, `disk_bytes`, `kills` (how many processes the system has killed for memory; null: it does
not count) and `real`: begin with the machine as it is.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec

from tunesmith.daemon import room
from tunesmith.daemon.api.home import Home
from tunesmith.daemon.room import Room
from tunesmith.recipes.planner import Place

GB = 10**9
PLENTY = Place(
    device="cpu", name="toy", dtype="float32", memory_bytes=64 * GB, free_bytes=64 * GB, host_memory_bytes=64 * GB,
    host_free_bytes=64 * GB, disk_free_bytes=900 * GB, cores=2, runtime_bytes=GB // 2,
)  # fmt: skip


def now(home: Home, device: str) -> Room:
    said = _said(home.root)
    found = room.now(home, device) if said.pop("real", False) else Room(PLENTY, 1000 * GB)
    disk = said.pop("disk_bytes", found.disk_bytes)
    said.pop("kills", None)
    return Room(msgspec.structs.replace(found.place, **said), disk)


def memory_kills() -> int | None:
    return _said(Path(os.environ["TUNESMITH_HOME"])).get("kills", 0)


def _said(root: Path) -> dict[str, Any]:
    try:
        return msgspec.json.decode((root / "room.json").read_bytes(), type=dict[str, Any])
    except FileNotFoundError:
        return {}
