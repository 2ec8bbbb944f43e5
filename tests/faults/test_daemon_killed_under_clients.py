"""K2: kill -9 of the daemon at random while eight clients submit, follow, cancel and resume."""

from __future__ import annotations

from pathlib import Path

import pytest
from dice import dice, times
from storm import Storm

CYCLES = 60


@pytest.mark.slow
@pytest.mark.timeout(1200)
async def test_no_promise_is_broken_by_daemons_killed_under_eight_clients(tmp_path: Path) -> None:
    cycles = times(CYCLES)
    outcome = await Storm(tmp_path, 8, dice("K2")).run(lambda cycle: cycle < cycles)
    assert outcome.violations == ()
    assert outcome.finished >= cycles // 10 and outcome.acknowledged >= outcome.jobs
    assert outcome.memory_grown < 50_000_000 and outcome.descriptors_grown <= 0
