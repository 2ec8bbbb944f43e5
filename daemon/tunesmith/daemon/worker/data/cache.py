"""Prepared data kept for the next run: unfinished rests are cleared, and the oldest go when there is too much."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import psutil

MOST_BYTES = 20 * 2**30


def unfinished(folder: Path) -> Path:
    """Where this process prepares what becomes `folder`: two that prepare the same stay out of each other's way."""
    count = sum(1 for _ in folder.parent.glob(f"{folder.name}-*"))  # one recipe may name the same file twice
    return folder.with_name(f"{folder.name}-{count}.{os.getpid()}")


def make_room(cache: Path, most_bytes: int = MOST_BYTES) -> None:
    """Remove what dead processes left unfinished, then the least recently used until `most_bytes` hold the rest."""
    cache.mkdir(parents=True, exist_ok=True)
    finished: list[Path] = []
    for folder in cache.iterdir():
        process = folder.suffix.removeprefix(".")
        if not process.isdigit():
            finished.append(folder)
        elif not psutil.pid_exists(int(process)):
            shutil.rmtree(folder)
    used = 0
    for folder in sorted(finished, key=lambda path: path.stat().st_mtime, reverse=True):
        used += sum(file.stat().st_size for file in folder.iterdir())
        if used > most_bytes:
            shutil.rmtree(folder)
