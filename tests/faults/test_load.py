"""Rows L1 and L2: many followers and requests, and followers that never read, while a worker says a thousand events a
second.

bench/daemon_load.py measures the bars of a thousand clients for a minute; how fast /health is, an idle machine says.
"""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from daemon_process import DaemonProcess

BENCH = Path(__file__).parents[2] / "bench/daemon_load.py"
NUMBER = re.compile(rb"^id: (\d+)$", re.MULTILINE)
GAP = re.compile(rb'"type":"gap","time":[^,]+,"from":(\d+),"to":(\d+)')


def loaded(*arguments: str) -> dict[str, Any]:
    done = subprocess.run([sys.executable, str(BENCH), *arguments], capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    measured: dict[str, Any] = json.loads(done.stdout)
    assert measured["last_event"] > 500 and measured["health_looks"] > 5, measured
    return measured


@pytest.mark.slow
def test_hundreds_follow_and_ask_and_nobody_misses_a_number() -> None:
    measured = loaded("--clients", "200", "--seconds", "10")
    assert measured["silent_gaps"] == 0 and measured["closed"] == 0, measured
    assert set(measured["statuses"]) == {"200", "404"}, measured
    assert measured["memory_max_mb"] < 150, measured


@pytest.mark.slow
def test_those_who_never_read_cost_no_memory() -> None:
    measured = loaded("--clients", "50", "--deaf", "50", "--seconds", "10")
    assert measured["memory_max_mb"] - measured["memory_at_rest_mb"] < 50, measured
    assert set(measured["statuses"]) == {"200", "404"}, measured


async def test_a_reader_that_fell_behind_is_told_what_it_missed_and_can_have_it(tmp_path: Path) -> None:
    daemon = DaemonProcess(tmp_path / "home", TUNESMITH_WORKER_MODULE="steady_worker")
    await daemon.start()
    await daemon.submit("rate=6000")
    await daemon.until_step(1, 1)
    reader, writer = await asyncio.open_unix_connection(daemon.home.socket, limit=1 << 16)
    writer.write(b"GET /v1/jobs/1/events HTTP/1.1\r\nHost: tunesmith\r\n\r\n")
    seen = await reader.readuntil(b"\n\n")
    await daemon.until_step(1, 10_000)  # some 3 MB that it does not read
    await daemon.client.cancel(1)
    view = await daemon.until(1, "cancelled")
    seen += await reader.read()
    writer.close()
    numbers = [int(number) for number in NUMBER.findall(seen)]
    gaps = {int(first): int(last) for first, last in GAP.findall(seen)}
    assert gaps
    expected = 1
    for number in numbers:
        expected = gaps[expected] + 1 if expected in gaps else expected
        assert number == expected
        expected += 1
    assert numbers[-1] == view.last_event
    first, last = next(iter(gaps.items()))
    again = [numbered.number async for numbered in daemon.client.events(1, after=first - 1)]
    assert again == list(range(first, view.last_event + 1)) and last in again
    await daemon.tidy()


async def test_with_few_descriptors_more_clients_than_fit_neither_harm_nor_fill_the_log(tmp_path: Path) -> None:
    daemon = DaemonProcess(tmp_path / "home")
    daemon.command = ["/bin/sh", "-c", 'ulimit -n 256; exec "$@"', "sh", *daemon.command]
    await daemon.start()
    held = []
    for _ in range(400):
        _, writer = await asyncio.open_unix_connection(daemon.home.socket)
        held.append(writer)
    assert len(daemon.home.log.read_text()) < 20_000
    for writer in held[:200]:
        writer.close()
    await asyncio.sleep(0.5)
    assert await daemon.client.healthy()
    await daemon.submit("steps=3")  # there are descriptors left for a worker while clients hold theirs
    await daemon.until(1, "finished")
    for writer in held[200:]:
        writer.close()
    assert "Traceback" not in daemon.home.log.read_text()
    await daemon.tidy()
