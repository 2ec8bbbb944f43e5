"""Where the wizard writes what a person keeps: the folder it was started in, else the home; never over another file."""

from __future__ import annotations

import os
from pathlib import Path


def free_path(home: Path, stem: str, suffix: str) -> Path:
    """`stem` with `suffix`, or with `-2` and so on between them where that is taken. Raises OSError."""
    here = Path.cwd()
    folder = here if os.access(here, os.W_OK) else home
    folder.mkdir(parents=True, exist_ok=True)
    path, number = folder / f"{stem}{suffix}", 1
    while path.exists():
        number += 1
        path = folder / f"{stem}-{number}{suffix}"
    return path
