"""Our memory arithmetic beside what other frameworks published of single GPUs: one line a row, then the errors.

Run: python bench/published.py. Rows and sources: tests/recipes/planner/published.toml.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "fakes"))
import published_runs

if __name__ == "__main__":
    print(published_runs.table(published_runs.compared()))
