"""Kernels: what oneDNN keeps of a CPU's matrix products, a kernel for each shape of weight and number of rows."""

from __future__ import annotations

from tunesmith.recipes.models.facts import LINEAR, ModelFacts
from tunesmith.recipes.planner import computed
from tunesmith.recipes.planner.place import Place
from tunesmith.recipes.planner.rows import Rows

# Measured: torch 2.13, matrices of 64 to 4,864 inputs and outputs, 590 to 650 kB each.
KERNEL_BYTES = 640_000


def kernel_bytes(facts: ModelFacts, rows: Rows, place: Place, *, tokens: int, even: int = 0) -> int:
    """Of all windows up to `tokens` that are met. Those of a step that fills several windows of `even` tokens are of
    like size: none has less than half of that.
    """
    if place.device != "cpu":
        return 0
    return numbers_of_rows(rows, tokens, even // 2) * bytes_of_a_number(facts)


def bytes_of_a_number(facts: ModelFacts) -> int:
    """Of all products of one number of rows."""
    shapes = {(m.inputs, m.outputs) for m in facts.matrices if m.part in LINEAR} | {(facts.hidden_size, 0)}
    return 2 * len(shapes) * KERNEL_BYTES  # forward and backward


def numbers_of_rows(rows: Rows, tokens: int, least: int = 0) -> int:
    """How many numbers of rows windows have: from the shortest usual one, or `least`, to `tokens`."""
    below = max(0.0, 2 * rows.mean - rows.longest)
    least = int(max(computed.ROWS, least, min(0.5 * tokens, below) if tokens > rows.longest else below))
    met = {computed.filled_rows(count) for count in range(min(least, tokens), tokens + 1, computed.ROWS)}
    return min(len(met), max(1, rows.rows))
