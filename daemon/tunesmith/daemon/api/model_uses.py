"""Which runs use a model of the cache: from the jobs' folders, so that no daemon has to be asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from tunesmith.daemon.api import model_store
from tunesmith.daemon.api.home import Home
from tunesmith.recipes.errors import TunesmithError
from tunesmith.recipes.models import source
from tunesmith.recipes.models.source import Named, Repository


def users(home: Home, first: str) -> Mapping[Path, list[int]]:
    """Numbers of the runs by the folder of the model that each took, or would take as things are now."""
    found: dict[Path, list[int]] = {}
    for job_id, folder in sorted(jobs(home)):
        base = taken(home, folder, first)
        if base is not None:
            found.setdefault(base, []).append(job_id)
    return found


def jobs(home: Home) -> Iterator[tuple[int, Path]]:
    for folder in (home.root / "jobs").glob("*"):
        if folder.name.isdecimal():
            yield int(folder.name), folder


def taken(home: Home, folder: Path, first: str) -> Path | None:
    """None for a run of something else than the cache's."""
    try:
        return Path((folder / "base.txt").read_text("utf-8").strip())
    except (OSError, UnicodeDecodeError):
        pass  # no attempt has come so far
    try:
        spec: Any = msgspec.json.decode((folder / "spec.json").read_bytes())
        asked = source.parse(spec["model"]["source"])
    except (OSError, msgspec.DecodeError, KeyError, TypeError, TunesmithError):
        return None  # being written, or of another version: nothing of the cache can be told of it
    if not isinstance(asked, Named | Repository):
        return None
    here = model_store.first(home, source.candidates(asked, first), asked.revision)
    return None if here is None else here.folder
