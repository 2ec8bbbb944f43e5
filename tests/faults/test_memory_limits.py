"""R1: a worker that comes to the end of its memory, or of a GPU's: told as that, and the job can go on."""

from __future__ import annotations

import aftermath
import pytest
from daemon_process import DaemonProcess


@pytest.mark.parametrize(
    "how",
    ["memory=100 limit=900 steps=40", "memory=300 limit=1200 steps=40", "cuda=1", "cuda=4 save=2", "cuda=5"],
)
async def test_memory_that_runs_out_is_told_and_the_job_goes_on(chained: DaemonProcess, how: str) -> None:
    await chained.start()
    job = (await chained.submit(f"{how} step=0")).id
    view = await chained.until(job, "failed")
    assert view.error is not None and view.error.code == "out_of_memory" and view.error.hint
    assert await chained.client.healthy()
    await chained.client.resume(job)
    view = await chained.until(job, "finished")
    assert aftermath.wrong_result(chained, view) + await aftermath.broken(chained) == []
