"""What forecasts have learned of this machine: kept beside what was measured of it, read by all who plan."""

from __future__ import annotations

import os

import msgspec

from tunesmith.daemon.api.home import Home
from tunesmith.recipes.planner.learned import Learned


def learned(home: Home) -> Learned:
    """Nothing where nothing was learned yet, or the file is damaged: it is learned again."""
    try:
        return msgspec.json.decode(home.learned.read_bytes(), type=Learned)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return Learned()


def keep(home: Home, new: Learned) -> None:
    """Whole or not at all. Raises OSError."""
    home.learned.parent.mkdir(parents=True, exist_ok=True)
    part = home.learned.with_name(f".learned-{os.getpid()}.json")
    part.write_bytes(msgspec.json.format(msgspec.json.encode(new)))
    os.replace(part, home.learned)
