"""How often the rows of the fault matrix roll, and from which seed: both can be set, and both are printed."""

from __future__ import annotations

import os
import random

SEED = int(os.environ.get("TUNESMITH_FAULT_SEED", "6"))
TIMES = float(os.environ.get("TUNESMITH_FAULT_TIMES", "1"))  # 10 rolls ten times as often as continuous integration


def times(in_ci: int) -> int:
    return max(1, round(in_ci * TIMES))


def dice(row: str) -> random.Random:
    """The same rolls for the same seed, whichever rows run beside it."""
    return random.Random(f"{SEED} {row}")
