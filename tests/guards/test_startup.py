"""Start-up keeps within its bars; measured by bench/startup.py, on a machine that does nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "bench/startup.py"


@pytest.mark.alone
def test_help_wizard_and_daemon_start_within_their_bars() -> None:
    done = subprocess.run([sys.executable, str(BENCH)], capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    figures = [json.loads(line) for line in done.stdout.splitlines()]
    assert {figure["figure"] for figure in figures} == {
        "help_over_empty_typer", "daemon_up", "daemon_idle", "wizard_first_paint",
    }  # fmt: skip
    assert [figure for figure in figures if figure["value"] > figure["aim"]] == []
