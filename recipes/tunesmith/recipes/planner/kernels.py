"""Kernels: what oneDNN keeps of a CPU's matrix products, a kernel for each shape of weight and number of rows."""

from __future__ import annotations

from tunesmith.recipes.models.facts import LINEAR, ModelFacts
from tunesmith.recipes.planner import computed
from tunesmith.recipes.planner.place import Place
from tunesmith.recipes.planner.rows import Rows

# Measured: torch 2.13, 512 products of SmolLM2-135M's layers kept 303 MB.
KERNEL_BYTES = 600_000


def kernel_bytes(facts: ModelFacts, rows: Rows, place: Place, *, tokens: int) -> int:
    """Of all windows up to `tokens` that training will meet."""
    if place.device != "cpu":
        return 0
    shapes = {(m.inputs, m.outputs) for m in facts.matrices if m.part in LINEAR} | {(facts.hidden_size, 0)}
    products = 2 * len(shapes)  # forward and backward
    return numbers_of_rows(rows, tokens) * products * KERNEL_BYTES


def numbers_of_rows(rows: Rows, tokens: int) -> int:
    """How many numbers of rows windows have: from the shortest usual one to `tokens`."""
    below = max(0.0, 2 * rows.mean - rows.longest)
    least = int(max(computed.ROWS, min(0.5 * tokens, below) if tokens > rows.longest else below))
    met = {computed.filled_rows(count) for count in range(min(least, tokens), tokens + 1, computed.ROWS)}
    return min(len(met), max(1, rows.rows))
