"""Changes values of one entry in a catalogue's TOML file and leaves every other character as it is."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

ENTRY = "[[models]]"
ARCHITECTURE = "models.architecture"


def changed(text: str, huggingface: str, values: Mapping[tuple[str, ...], Any]) -> str:
    """`text` with `values` set in the entry of this id; a path is ("parameters",) or ("architecture", "vocab_size").

    Only values that are there are changed. Raises KeyError naming one that is not.
    """
    lines = text.splitlines(keepends=True)
    start, end = entry_lines(lines, huggingface)
    for path, value in values.items():
        first, last = value_lines(lines[start:end], path)
        lines[start + first : start + last] = [f"{path[-1]} = {written(value)}\n"]
        end += 1 - (last - first)
    return "".join(lines)


def entry_lines(lines: list[str], huggingface: str) -> tuple[int, int]:
    """Where the entry begins and ends."""
    begins = [number for number, line in enumerate(lines) if line.strip() == ENTRY]
    for begin, end in zip(begins, [*begins[1:], len(lines)], strict=True):
        if f"huggingface = {json.dumps(huggingface)}\n" in lines[begin:end]:
            return begin, end
    raise KeyError(huggingface)


def value_lines(lines: list[str], path: tuple[str, ...]) -> tuple[int, int]:
    """Where the value begins and ends within an entry: several lines for a list."""
    table = "" if len(path) == 1 else ".".join(("models", *path[:-1]))
    current = ""
    for number, line in enumerate(lines):
        if found := re.fullmatch(r"\[([\w.]+)\]\n", line):
            current = found[1]
        elif current == table and line.startswith(f"{path[-1]} = "):
            several = line.rstrip().endswith("[")
            return number, number + 1 + (lines[number:].index("]\n") if several else 0)
    raise KeyError(".".join(path))


def written(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case int():
            return f"{value:_}" if value >= 10_000 else str(value)
        case str() | list():
            return json.dumps(value)
    return str(value)
