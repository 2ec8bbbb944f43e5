"""R1: a worker that comes to the end of its memory, or of a GPU's: told as that, tried once more, then resumable."""

from __future__ import annotations

import aftermath
import pytest
from daemon_process import DaemonProcess

HOST, CUDA = "memory=100 limit=900 steps=40 step=0", "cuda=5 save=2 step=0"


@pytest.mark.parametrize("how", [HOST, CUDA])
async def test_memory_that_runs_out_once_is_told_and_tried_with_less(chained: DaemonProcess, how: str) -> None:
    await chained.start()
    view = await chained.until((await chained.submit(how)).id, "finished")
    assert view.attempt == 2 and view.shrunk is not None
    assert any("Memory ran out" in notice.text for notice in view.notices)
    assert aftermath.wrong_result(chained.home, view.id, view.name) + await aftermath.broken(chained) == []


@pytest.mark.parametrize("how", [HOST, "cuda=1 step=0", CUDA])
async def test_memory_that_runs_out_again_is_told_and_the_job_goes_on_when_asked(
    chained: DaemonProcess, how: str
) -> None:
    await chained.start()
    job = (await chained.submit(f"{how} times=2")).id
    view = await chained.until(job, "failed")
    assert view.attempt == 2 and view.error is not None
    assert view.error.code == "out_of_memory" and f"tunesmith resume {job}" in view.error.hint
    assert await chained.client.healthy()
    await chained.client.resume(job)
    view = await chained.until(job, "finished")
    assert aftermath.wrong_result(chained.home, view.id, view.name) + await aftermath.broken(chained) == []
