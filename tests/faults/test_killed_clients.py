"""K5: kill -9 of clients in the middle of a submit and of a stream: the daemon keeps nothing of them."""

from __future__ import annotations

import asyncio
import signal
import sys
from asyncio.subprocess import PIPE, Process

import aftermath
import history
import psutil
import pytest
from daemon_process import FAKES, DaemonProcess
from dice import dice, times

CLIENTS = 100
AT_ONCE = 10
MEMORY_LIMIT_BYTES = 50_000_000  # I9


async def client(daemon: DaemonProcess, how: str, key: str) -> Process:
    """Where it shall be killed."""
    command = [sys.executable, "-I", "-S", str(FAKES / "raw_client.py"), str(daemon.home.socket), how, key]
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE)
    assert process.stdout is not None and await process.stdout.readline() == b"there\n"
    return process


@pytest.mark.slow
async def test_clients_killed_in_the_middle_leave_nothing_open(chained: DaemonProcess) -> None:
    rolls = dice("K5")
    await chained.start()
    assert chained.process is not None
    await chained.submit("steps=100000 step=0.01", key="long")
    await chained.until_step(1, 2)
    daemon = psutil.Process(chained.process.pid)
    memory, descriptors = daemon.memory_info().rss, daemon.num_fds()
    keys = [f"key-{number}" for number in range(times(CLIENTS))]
    hows = {key: rolls.choice(("half", "whole", "stream")) for key in keys}
    for first in range(0, len(keys), AT_ONCE):
        clients = await asyncio.gather(*(client(chained, hows[key], key) for key in keys[first : first + AT_ONCE]))
        for process in clients:
            await asyncio.sleep(rolls.random() * 0.02)
            process.send_signal(signal.SIGKILL)
            await process.wait()
    await aftermath.over(lambda: daemon.num_fds() > descriptors, aftermath.CLEAR_S)
    assert daemon.num_fds() <= descriptors
    assert daemon.memory_info().rss - memory < MEMORY_LIMIT_BYTES
    jobs = {job.key: job.id for job in history.jobs_of(chained.home.database)}
    assert not [key for key, how in hows.items() if how != "whole" and key in jobs]
    promised = []
    for key in sorted(jobs):
        view = await chained.submit("steps=1", key=key)
        promised.append(history.Acknowledged(key, view.id))
        await chained.client.cancel(view.id)
    await chained.until(1, "cancelled")
    assert await aftermath.broken(chained, promised) == []
