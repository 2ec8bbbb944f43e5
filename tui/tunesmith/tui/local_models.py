"""Where a model of the catalogue lies on this machine already: in our cache, in a folder, or in a hub's cache."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tunesmith.daemon.api import library_caches, model_store
from tunesmith.recipes.models import source

if TYPE_CHECKING:
    from tunesmith.daemon.api.home import Home
    from tunesmith.recipes.models.catalogue import Entry


def find(entry: Entry, home: Home) -> Path | None:
    """A folder with its config.json and weights."""
    return next((folder for folder in _places(entry, home) if _whole(folder)), None)


def source_of(entry: Entry, folder: Path | None, home: Home) -> str:
    """What a recipe says to mean it: its id where the run finds or fetches it itself, else the folder."""
    own = (home.models / "snapshots", library_caches.huggingface_root(os.environ))
    if folder is None or any(folder.is_relative_to(root) for root in own):
        return entry.huggingface
    return str(folder)


def _whole(folder: Path) -> bool:
    return (folder / "config.json").is_file() and any(folder.glob("*.safetensors"))


def _places(entry: Entry, home: Home) -> Iterator[Path]:
    named = source.Repository("", entry.huggingface)
    candidates = source.candidates(named, source.HUBS[0])
    if (here := model_store.first(home, candidates)) is not None:
        yield here.folder
    name = entry.huggingface.rpartition("/")[2]
    yield from (home.models / entry.key, home.models / name, Path.home() / "models" / name)
    for hub, id in sorted(candidates):
        yield from (cached.folder for cached in library_caches.models(hub, id))
