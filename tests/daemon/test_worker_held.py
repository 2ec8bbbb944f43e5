"""A worker of the daemon is held to its limits: who ends first, how loud it may be, how much it may print."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from daemon_process import DaemonProcess

from tunesmith.daemon import limits, worker_log


def score(pid: int) -> int:
    return int(Path(f"/proc/{pid}/oom_score_adj").read_text())


async def test_the_daemon_s_worker_is_limited_and_the_daemon_is_not(tmp_path: Path) -> None:
    ours = os.getpriority(os.PRIO_PROCESS, 0)
    nice = min(19, ours + 1)
    daemon = DaemonProcess(tmp_path / "home", TUNESMITH_WORKER_NICE=str(nice))
    await daemon.start()
    await daemon.submit("steps=1000 step=0.02")
    view = await daemon.until_step(1, 2)
    assert view.pid is not None and daemon.process is not None
    assert os.getpriority(os.PRIO_PROCESS, view.pid) == nice
    assert os.getpriority(os.PRIO_PROCESS, daemon.process.pid) == ours
    cores = Path(f"/proc/{view.pid}/limits")
    if cores.exists():
        (line,) = [line for line in cores.read_text().splitlines() if line.startswith("Max core file size")]
        assert line.split()[4:6] == ["0", "0"], "a core file of a training is as large as its memory"
    if Path(f"/proc/{view.pid}/oom_score_adj").exists():
        assert score(view.pid) == limits.OOM_SCORE and score(daemon.process.pid) == score(os.getpid())
    await daemon.client.cancel(1)
    await daemon.until(1, "cancelled")
    await daemon.tidy()


@pytest.mark.slow
async def test_a_worker_that_prints_without_end_does_not_fill_the_disk(tmp_path: Path) -> None:
    daemon = DaemonProcess(tmp_path / "home")
    await daemon.start()
    await daemon.submit("steps=40 step=0.05 prints=200")
    path = daemon.home.job(1) / "worker-1.log"
    await daemon.until(1, "finished", seconds=60)
    assert path.stat().st_size <= worker_log.MOST_BYTES, "it printed 200 MB"
    text = path.read_bytes()
    assert text.startswith(b"toy worker ") and text.rstrip().endswith(b"the last line")
    assert (await daemon.client.log(1)).text.endswith("the last line")
    await daemon.tidy()
