"""Where everything of Tunesmith lies on this machine, and what it takes there."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

from tunesmith.daemon.api.home import Home


class Place(msgspec.Struct, frozen=True):
    """`bytes` is None where nothing is there yet, or nobody has counted."""

    key: str
    path: str
    bytes: int | None = None


def places(home: Home) -> tuple[Place, ...]:
    """Not counted: that takes a while where there is much."""
    paths = {
        "home": home.root,
        "settings": home.settings,
        "models": home.models,
        "data": home.data,
        "jobs": home.root / "jobs",
        "cache": home.prepared.parent,
        "log": home.log,
        "socket": home.socket,
        "program": Path(sys.prefix),
    }
    return tuple(Place(key, str(path)) for key, path in paths.items())


def measured(home: Home) -> Iterator[Place]:
    """The same, counted one after the other."""
    for place in places(home):
        path = Path(place.path)
        yield Place(place.key, place.path, bytes_on_disk(path) if os.path.lexists(path) else None)


def bytes_on_disk(path: Path) -> int:
    """What a file or a folder takes; a file with several names counts once, what may not be read counts nothing."""
    seen: set[tuple[int, int]] = set()
    return _size(path, seen)


def _size(path: Path | os.DirEntry[str], seen: set[tuple[int, int]]) -> int:
    try:
        state = os.lstat(path)
        if (state.st_ino, state.st_dev) in seen:
            return 0
        seen.add((state.st_ino, state.st_dev))
        total = min(state.st_blocks * 512, state.st_size)  # files with holes take less than they are long
        if os.path.isdir(path) and not os.path.islink(path):
            with os.scandir(path) as entries:
                return sum(_size(entry, seen) for entry in entries)
    except OSError:  # gone meanwhile, or not ours
        return 0
    return total
