"""Whether a path can be on a disk at all: of what cannot, each look at the disk raises something else."""

from __future__ import annotations

import os
from pathlib import Path

NAME_BYTES = 255  # of one name on every common file system


def possible(path: str) -> bool:
    """No NUL, no halves of characters, no name that is too long, as in a page of text pasted where a path belongs."""
    try:
        return "\0" not in path and all(len(os.fsencode(part)) <= NAME_BYTES for part in Path(path).parts)
    except UnicodeEncodeError:
        return False
