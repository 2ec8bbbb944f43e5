"""The power goes at any moment: what was acknowledged is there, and what has a final name is whole."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import aftermath
import disk_shim
import history
import pytest
from daemon_process import DaemonProcess
from dice import dice, times
from disk_shim import recorded

MOMENTS = 60
STARTED = 4  # of them with a daemon that goes on from there
WORK = "steps=6 step=0 save=2"


async def work(daemon: DaemonProcess, record: Path) -> None:
    """Three jobs to their end, one waiting; each promise is noted in the record when it is given."""

    def promised(promise: history.Record) -> None:
        recorded.mark(record, history.encoded(promise).decode())

    await daemon.start()
    for key in ("a", "b", "c"):
        view = await daemon.submit(f"{WORK} key={key}", key=key)
        promised(history.Acknowledged(key, view.id))
        view = await daemon.until(view.id, "finished")
        promised(history.Replied(view.id, view.last_event, view.state))
    for key in ("d", "e"):
        promised(history.Acknowledged(key, (await daemon.submit(f"steps=50 key={key}", key=key)).id))
    await daemon.client.cancel(5)
    view = await daemon.until(5, "cancelled")
    promised(history.Replied(view.id, view.last_event, view.state))
    daemon.end(signal.SIGKILL)
    await aftermath.over(daemon.workers, 10)


@pytest.mark.slow
async def test_after_a_power_cut_what_was_acknowledged_is_there(tmp_path: Path, shim: Path) -> None:
    home, record, rolls = tmp_path / "home", tmp_path / "record", dice("power cut")
    daemon = DaemonProcess(
        home, TUNESMITH_WORKER_MODULE="toy_chain", **disk_shim.environment(shim, home, record=record)
    )
    await work(daemon, record)
    await daemon.client.close()
    shutil.rmtree(home)
    changes = recorded.read(record)
    # The end is always one: all promises were given by then.
    moments = {*rolls.sample(range(len(changes)), min(times(MOMENTS), len(changes))), len(changes) - 1}
    started = set(rolls.sample(sorted(moments), min(STARTED, len(moments))))
    disk = recorded.Disk(home)
    promises: list[history.Record] = []
    for moment, change in enumerate(changes):
        disk.apply(change)
        if change.kind == recorded.MARK:
            promises += history.decoded(change.path.encode() + b"\n")
        if moment in moments:
            for survives in (lambda: False, lambda: rolls.random() < 0.5):
                found = await cut(disk, promises, survives, go_on=moment in started)
                assert found == [], f"after change {moment} of {len(changes)}: {change.kind} {change.path}"


async def cut(
    disk: recorded.Disk, promises: list[history.Record], survives: Callable[[], bool], *, go_on: bool
) -> list[str]:
    disk.after_power_cut(disk.root, survives)
    daemon = DaemonProcess(disk.root, TUNESMITH_WORKER_MODULE="toy_chain")
    if go_on or not daemon.home.database.exists():
        await daemon.start()
        found = await aftermath.unattended(daemon)
        return found + await aftermath.broken(daemon, promises)
    jobs = history.jobs_of(daemon.home.database) if daemon.home.database.stat().st_size else []
    found = history.violations(promises, jobs) + history.on_disk(daemon.home, jobs)
    done = {record.job for record in promises if isinstance(record, history.Replied) and record.state == "finished"}
    name_of = {job: f"{WORK} key={key}" for job, key in enumerate("abc", start=1)}
    return found + [
        text for job in done if job in name_of for text in aftermath.wrong_result(daemon.home, job, name_of[job])
    ]
