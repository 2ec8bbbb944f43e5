"""A JSON object from a model's folder, read within bounds: whoever made the folder may have made it to do harm."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import msgspec

from tunesmith.recipes.errors import ModelError
from tunesmith.recipes.units import bytes_text

LONGEST = 64 << 20  # bytes; the index of a model of a thousand shards has ten million
CODE = "model_files"


def read(path: Path) -> dict[str, Any]:
    """Raises ModelError when it is no JSON object, too long, or no regular file."""
    try:
        # Not to wait for whoever writes into a pipe that is called config.json.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise ModelError(f"{path} is no regular file", "Fetch the model again.", CODE)
            content = file.read(LONGEST + 1)
    except OSError as error:
        raise ModelError(f"Cannot read {path}: {error.strerror}", "Change its permissions.", CODE) from error
    if len(content) > LONGEST:
        raise ModelError(f"{path} is longer than {bytes_text(LONGEST)}", "Fetch the model again.", CODE)
    try:
        found = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ModelError(f"{path} is not JSON: {error}", "Fetch the model again.", CODE) from error
    if not isinstance(found, dict):
        raise ModelError(f"{path} is not a table", "Fetch the model again.", CODE)
    return found
