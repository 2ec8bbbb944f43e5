"""Kills the daemon again and again under clients that submit, then sees everything to its end and checks it."""

from __future__ import annotations

import asyncio
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import aftermath
import history
import msgspec
import psutil
from daemon_process import FAKES, DaemonProcess

LIFE_S = 0.6  # of a daemon: long enough to start a worker, so that jobs get on
STARTING_S = 0.3  # one in five is killed before it answers
SETTLING_S = 120.0  # for the jobs that are left when the storm is over


class Outcome(msgspec.Struct, frozen=True):
    """`seconds` of the storm alone; `memory_grown` of the last daemon since a fresh one, in bytes."""

    cycles: int
    seconds: float
    jobs: int
    finished: int
    events_seen: int
    acknowledged: int
    slowest_start_s: float
    memory_grown: int
    descriptors_grown: int
    violations: tuple[str, ...]


class Storm:
    def __init__(self, folder: Path, clients: int, dice: random.Random) -> None:
        self.folder, self.dice = folder, dice
        self.daemon = DaemonProcess(folder / "home", TUNESMITH_WORKER_MODULE="toy_chain")
        self.stop = folder / "stop"
        self.clients = clients
        self.slowest = 0.0

    async def run(self, another: Callable[[int], bool], progress: Callable[[str], None] = lambda text: None) -> Outcome:
        """Cycles as long as `another` says; each kills a daemon."""
        memory, descriptors = await self._baseline()
        clients = [self._client(number) for number in range(self.clients)]
        try:
            began, cycle = time.monotonic(), 0
            while another(cycle):
                await self._cycle()
                cycle += 1
                if cycle % 50 == 0:
                    progress(f"{cycle} cycles, {time.monotonic() - began:.0f} s")
            seconds = time.monotonic() - began
            progress("the storm is over")
            found = await self._settle(clients)
        finally:
            for client in clients:
                client.kill()
        status = self._process()
        grown = (status.memory_info().rss - memory, await _descriptors(status, descriptors))
        records = self._records()
        found += await aftermath.broken(self.daemon, records, worked_once=True)
        return self._judged(cycle, seconds, grown, records, found)

    async def _baseline(self) -> tuple[int, int]:
        """Bytes and descriptors of a daemon with an empty home."""
        await self.daemon.start()
        process = self._process()
        found = process.memory_info().rss, process.num_fds()
        self.daemon.end(signal.SIGKILL)
        return found

    def _process(self) -> psutil.Process:
        assert self.daemon.process is not None
        return psutil.Process(self.daemon.process.pid)

    def _client(self, number: int) -> subprocess.Popen[bytes]:
        command = [
            sys.executable,
            str(FAKES / "submitting_client.py"),
            str(self.daemon.home.socket),
            str(self._written(number)),
            f"c{number}",
            str(self.dice.randrange(10**9)),
            str(self.stop),
        ]
        with (self.folder / f"client-{number}.log").open("wb") as output:
            return subprocess.Popen(command, env=self.daemon.environment, stdout=output, stderr=output)

    def _written(self, number: int) -> Path:
        return self.folder / f"client-{number}.jsonl"

    def _records(self) -> list[history.Record]:
        written = [path for number in range(self.clients) if (path := self._written(number)).exists()]
        return [record for path in written for record in history.decoded(path.read_bytes())]

    async def _cycle(self) -> None:
        if self.dice.random() < 0.2:
            self.daemon.process = self.daemon.spawn()
            await asyncio.sleep(self.dice.random() * STARTING_S)
        else:
            self.slowest = max(self.slowest, await self.daemon.start())
            await asyncio.sleep(self.dice.random() * LIFE_S)
        self.daemon.end(signal.SIGKILL)

    async def _settle(self, clients: list[subprocess.Popen[bytes]]) -> list[str]:
        """The clients see their jobs to the end; the daemon is left running."""
        await self.daemon.start()
        await asyncio.sleep(10)
        found = await aftermath.unattended(self.daemon)  # I3: ten seconds after a start
        self.stop.touch()
        until = time.monotonic() + SETTLING_S
        for number, client in enumerate(clients):
            await aftermath.over(lambda: client.poll() is None, until - time.monotonic())  # noqa: B023
            if client.poll() is None:
                client.kill()
                found.append(f"client {number} did not see its jobs to an end")
            elif client.returncode:
                found.append(f"client {number} failed: {(self.folder / f'client-{number}.log').read_text()[-2000:]}")
        while time.monotonic() < until:
            if not any(view.state in ("queued", *history.WITH_PROCESS) for view in await self.daemon.client.jobs()):
                return found
            await asyncio.sleep(0.1)
        return [*found, "jobs were still waiting or running at the end"]

    def _judged(
        self, cycles: int, seconds: float, grown: tuple[int, int], records: list[history.Record], found: list[str]
    ) -> Outcome:
        jobs = history.jobs_of(self.daemon.home.database)
        return Outcome(
            cycles, seconds, len(jobs), sum(job.state == "finished" for job in jobs),
            sum(isinstance(record, history.Saw) for record in records),
            sum(isinstance(record, history.Acknowledged) for record in records),
            self.slowest, *grown, tuple(found),
        )  # fmt: skip


async def _descriptors(process: psutil.Process, baseline: int) -> int:
    """How many more than `baseline` are open, once those of clients that went are closed."""
    await aftermath.over(lambda: process.num_fds() > baseline, aftermath.CLEAR_S)
    return process.num_fds() - baseline
