"""Whether a path can be on a disk at all: of what cannot, each look at the disk raises something else."""

from __future__ import annotations

import os
from pathlib import Path

from tunesmith.recipes.errors import RecipeError

NAME_BYTES = 255  # of one name on every common file system


def possible(path: str) -> bool:
    """No NUL, no halves of characters, no name that is too long, as in a page of text pasted where a path belongs."""
    try:
        return "\0" not in path and all(len(os.fsencode(part)) <= NAME_BYTES for part in Path(path).parts)
    except UnicodeEncodeError:
        return False


def resolved(path: str, folder: Path) -> str:
    """Absolute against `folder`. Raises RecipeError for what no file can be called."""
    try:
        if possible(path):
            return str((folder / Path(path).expanduser()).resolve())
    except RuntimeError:  # ~nobody, who has no home
        pass
    raise RecipeError(f"No file can be called {path[:80]!r}", "Give another.")
