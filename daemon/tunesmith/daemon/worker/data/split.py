"""Rows held out of training when the recipe names none."""

from __future__ import annotations

import json
import random

from tunesmith.recipes.data.rows import HeldOutRow, TrainingRow

FEWEST, MOST = 8, 500  # fewer says nothing about the model, more takes longer than it tells


def split(rows: list[TrainingRow], fraction: float, seed: int) -> tuple[list[TrainingRow], list[HeldOutRow]]:
    """`rows` to train on and rows held out; the same seed gives the same split, and no conversation is on both sides.

    At most half is held out: with very few rows, training comes first.
    """
    groups: dict[str, list[TrainingRow]] = {}
    for row in rows:
        groups.setdefault(json.dumps(row.messages, sort_keys=True), []).append(row)
    candidates = [key for key, group in groups.items() if splits(group[0])]
    wanted = min(max(FEWEST, round(len(groups) * fraction)), MOST, len(groups) // 2, len(candidates))
    chosen = set(random.Random(seed).sample(candidates, wanted))
    held_out = [
        HeldOutRow(groups[key][0].messages[:-1], groups[key][0].messages[-1]["content"], where=groups[key][0].where)
        for key in groups
        if key in chosen
    ]
    return [row for key, group in groups.items() if key not in chosen for row in group], held_out


def splits(row: TrainingRow) -> bool:
    """Whether the row is a question and its answer at the end."""
    return [message["role"] for message in row.messages[-2:]] == ["user", "assistant"]
