"""bench/startup.py measures all its start-up figures; whether they meet their bars is for an idle machine to say."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

BENCH = Path(__file__).parents[2] / "bench/startup.py"


def test_the_start_up_bench_measures_all_its_figures() -> None:
    done = subprocess.run([sys.executable, str(BENCH)], capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    figures = [json.loads(line) for line in done.stdout.splitlines()]
    assert {figure["figure"] for figure in figures} == {
        "help_over_empty_typer", "daemon_up", "daemon_idle", "wizard_first_paint", "wizard_first_paint_processor",
    }  # fmt: skip
    # A difference of two medians may fall below zero; times and sizes may not.
    assert all(figure["value"] > 0 for figure in figures if figure["figure"] != "help_over_empty_typer")
