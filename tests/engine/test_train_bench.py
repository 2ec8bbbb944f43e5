"""bench/train.py runs its contenders and prints its figures; whether they meet their aims is for an idle machine."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "bench/train.py"
CONTENDERS = ("tunesmith", "trl", "trl, padding-free", "plain loop")


@pytest.mark.slow
def test_the_training_bench_measures_every_contender(tiny_model: Path) -> None:
    chosen = [argument for name in CONTENDERS for argument in ("--only", name)]
    command = [sys.executable, str(BENCH), "ragged", "--rounds", "1", "--model", str(tiny_model), *chosen]
    run = subprocess.run(command, capture_output=True, text=True, timeout=280)
    assert run.returncode == 0, run.stderr[-2000:]
    lines = [json.loads(line) for line in run.stdout.splitlines()]
    assert [line for line in lines if "failed" in line] == []
    figures = {(line["contender"], line["figure"]): line["value"] for line in lines}
    for name in CONTENDERS:
        assert figures[name, "step"] > 0 and figures[name, "useful tokens"] > 0 and figures[name, "peak memory"] > 0
        assert figures[name, "share of torch.mm"] > 0
    assert {("tunesmith", f"tokens against {name}") for name in CONTENDERS[1:]} <= figures.keys()
    assert figures["machine", "torch.mm products"] > 1e8
