"""The file of rejected rows: it takes the place of an earlier check's, never of anything else."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from tunesmith.recipes.data.checking.writing import JsonlFile
from tunesmith.recipes.errors import DataError

SUFFIX = "rejected.jsonl"
HINT = "Say where the rejected rows go: --rejected PATH."
KEYS = {"file", "line", "reason", "code"}  # every line of such a file has them
LINE_LIMIT = 1 << 20  # bytes; a rejected row has far less


def default_path(paths: Iterable[str]) -> str:
    """In the current folder, named after the only path, else plain."""
    several = list(paths)
    name = Path(several[0]).name.strip("*?[]") if len(several) == 1 else ""
    return f"{name}.{SUFFIX}" if name else SUFFIX


def opened(path: Path, inputs: Iterable[str]) -> JsonlFile:
    """A file for rejected rows. Raises DataError when something else is at `path`."""
    if any(path.resolve() == Path(given).resolve() for given in inputs):
        raise DataError(f"{path} is one of the files to check", HINT)
    if path.exists() and not ours(path):
        raise DataError(f"{path} exists and is no file of rejected rows", HINT)
    return JsonlFile(path, HINT)


def ours(path: Path) -> bool:
    """Whether `path` is empty or begins with a rejected row."""
    if not path.is_file():
        return False
    try:
        with path.open("rb") as stream:
            line = stream.readline(LINE_LIMIT)
    except OSError as error:
        raise DataError(f"Cannot read {path}: {error.strerror or error}", HINT) from error
    if not line:
        return True
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(row, dict) and row.keys() >= KEYS


def forget(path: Path) -> None:
    """Remove what an earlier check rejected: now nothing is."""
    if path.is_file() and path.stat().st_size and ours(path):
        path.unlink()
