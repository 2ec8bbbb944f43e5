"""Where a model of the catalogue lies on this machine already: in our own folder, or in a hub's cache."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tunesmith.daemon.api.home import Home
    from tunesmith.recipes.models.catalogue import Entry


def find(entry: Entry, home: Home) -> Path | None:
    """A folder with its config.json and weights."""
    return next((folder for folder in _places(entry, home) if _whole(folder)), None)


def _whole(folder: Path) -> bool:
    return (folder / "config.json").is_file() and any(folder.glob("*.safetensors"))


def _places(entry: Entry, home: Home) -> Iterator[Path]:
    """Ours, then the caches as huggingface_hub and the older and newer modelscope lay them out."""
    owner, _, name = entry.huggingface.partition("/")
    yield from (home.models / entry.key, home.models / name, Path.home() / "models" / name)
    cache = os.environ.get("HF_HUB_CACHE") or Path(os.environ.get("HF_HOME", "~/.cache/huggingface")) / "hub"
    yield from _snapshots(Path(cache).expanduser() / f"models--{owner}--{name}")
    if entry.modelscope:
        owner, _, name = entry.modelscope.partition("/")
        root = Path(os.environ.get("MODELSCOPE_CACHE", "~/.cache/modelscope")).expanduser()
        yield from _snapshots(root / "models" / f"{owner}--{name}")
        older = name.replace(".", "___")  # how it wrote a dot
        yield from (root / "models" / owner / older, root / "hub" / "models" / owner / older)


def _snapshots(folder: Path) -> Iterator[Path]:
    snapshots = folder / "snapshots"
    if snapshots.is_dir():
        yield from sorted(snapshots.iterdir())
