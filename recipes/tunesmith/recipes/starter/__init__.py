"""The starter data: an identity set, held-out questions about it, and general knowledge that must not be forgotten."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tunesmith.recipes.errors import DataError, nearest
from tunesmith.recipes.spec import Persona

KINDS = ("train", "held_out", "general")


def path(kind: str) -> Path:
    """The JSONL file of `kind`, with {name} and {maker} still in it. Raises DataError for an unknown kind."""
    if kind not in KINDS:
        raise DataError(f"The starter data has no '{kind}'", nearest(kind, KINDS))
    return Path(__file__).parent / f"{kind}.jsonl"


def fill(value: Any, persona: Persona) -> Any:
    """`value` with {name} and {maker} replaced in every text inside it."""
    match value:
        case str():
            # One pass a placeholder would also fill a "{maker}" that someone put into the name.
            parts = value.split("{name}")
            return persona.name.join(part.replace("{maker}", persona.maker) for part in parts)
        case list():
            return [fill(item, persona) for item in value]
        case dict():
            return {key: fill(item, persona) for key, item in value.items()}
        case _:
            return value


def starter_rows(kind: str, persona: Persona) -> list[dict[str, Any]]:
    """The rows of `kind` (train, held_out, general) about `persona`."""
    return [fill(json.loads(line), persona) for line in path(kind).read_text("utf-8").splitlines()]
