"""Runs on one GPU whose memory other frameworks published, each beside our forecast.

Rows and sources: tests/recipes/planner/published.toml.
"""

from __future__ import annotations

import statistics
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from tunesmith.recipes.models.catalogue import find
from tunesmith.recipes.models.facts import ModelFacts
from tunesmith.recipes.models.reading import from_config
from tunesmith.recipes.planner import plain

ROWS = Path(__file__).parent.parent / "recipes" / "planner" / "published.toml"


class Row(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One published run. `published` in the unit of its source, `rows` at once, padded to `length` tokens.

    `length_before` are the tokens of the step before, where there is one. `trainable` is the count that the source
    states; 0 where it states none.
    """

    source: str
    engine: str
    model: str
    published: float
    rows: int
    length: int
    config: str = ""
    rank: int = 0
    adapted: frozenset[str] = frozenset()
    quantization: str = "none"
    length_before: int = 0
    trainable: int = 0


class Compared(NamedTuple):
    """`forecast` in the unit of the row's source, `trainable` by our count."""

    row: Row
    forecast: float
    trainable: int

    @property
    def error(self) -> float:
        return self.forecast / self.row.published - 1

    def __str__(self) -> str:
        row = self.row
        tuner = f"LoRA r{row.rank} x{len(row.adapted)}" if row.rank else "full"
        return (
            f"{row.source:10}{row.model.rpartition('/')[2]:24}{tuner:12}{row.quantization:8}"
            f"{row.rows} x {row.length:5}{row.published:8.2f}{self.forecast:8.2f}{self.error:+8.1%}"
        )


def facts_of(model: str, models: dict[str, dict[str, Any]]) -> ModelFacts:
    """Of the file's own architectures, else of the catalogue's."""
    if model not in models:
        return find(model).facts
    return from_config(models[model], model)


def compared() -> list[Compared]:
    """Every row with its forecast."""
    read = tomllib.loads(ROWS.read_text())
    found = []
    for row in msgspec.convert(read["rows"], list[Row]):
        facts = facts_of(row.model, read["models"])
        engine = plain.Engine(
            rank=row.rank,
            adapted=row.adapted,
            quantization=row.quantization,
            **read["engines"][row.engine],
        )
        needed = plain.need(facts, engine, row.rows, row.length, row.length_before)
        trained = plain.adapter_parameters(facts, engine) if row.rank else facts.parameters
        found.append(Compared(row, needed.bytes / read["sources"][row.source]["unit"], trained))
    return found


def table(rows: list[Compared]) -> str:
    """A line a row, then the median and the worst error."""
    errors = [abs(one.error) for one in rows]
    lines = [f"{'source':10}{'model':24}{'method':12}{'base':8}{'rows':9}{'published':>10}{'forecast':>9}{'error':>7}"]
    lines += map(str, rows)
    lines.append(f"{len(rows)} rows, median error {statistics.median(errors):.1%}, worst {max(errors):.1%}")
    return "\n".join(lines)
