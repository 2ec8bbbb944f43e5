"""Gauges: how the machine does while a job runs, the newest look only, on streams and never in the database.

Every two seconds for hours would be thousands of rows that nobody reads again, each a synced commit on the disk that
training wants too. So they have no number, are in no journal, and are gone with the daemon: a stream sends the newest
to whoever listens, without an id, so that replay and Last-Event-ID know of real events only.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time

import msgspec
import psutil

from tunesmith.daemon.admission import spec_of
from tunesmith.daemon.api import events as e
from tunesmith.daemon.api.view import CANCELLING, RUNNING, JobView
from tunesmith.daemon.store import Store
from tunesmith.recipes.machine import cpu, cuda
from tunesmith.recipes.nvidia import gauge

log = logging.getLogger("tunesmith.gauges")


class Gauges:
    def __init__(self, store: Store, every_s: float) -> None:
        self._store = store
        self._every_s = every_s
        self._newest: dict[int, e.Gauged] = {}
        self._changed: dict[int, asyncio.Event] = {}
        self._device: tuple[tuple[int, int], str | None] | None = None

    def newest(self, job_id: int) -> e.Gauged | None:
        """None while it does not run, or was not looked at yet."""
        return self._newest.get(job_id) if self._store.get(job_id).state in (RUNNING, CANCELLING) else None

    def shown(self, view: JobView) -> JobView:
        """`view` with the newest look."""
        newest = self.newest(view.id)
        return view if newest is None else msgspec.structs.replace(view, gauges=newest)

    async def changed(self, job_id: int) -> None:
        """Until there is a newer look at `job_id`."""
        await self._changed.setdefault(job_id, asyncio.Event()).wait()

    async def run(self) -> None:
        """For ever: one look an interval at every running job."""
        psutil.cpu_percent(percpu=True)  # shares are since the call before
        while True:
            await asyncio.sleep(self._every_s)
            running = [view for view in self._store.living() if view.state in (RUNNING, CANCELLING)]
            for gone in self._newest.keys() - {view.id for view in running}:
                del self._newest[gone]
            if not running:
                continue
            share = cpu_share()
            for view in running:
                try:
                    found = await asyncio.to_thread(self._look, view, share)
                except psutil.NoSuchProcess:  # it ended meanwhile
                    continue
                except Exception:  # a driver that answers oddly must not end the daemon: it is only a look
                    log.exception("job %d cannot be looked at", view.id)
                    continue
                self._newest[view.id] = found
                if waiting := self._changed.pop(view.id, None):
                    waiting.set()

    def _look(self, view: JobView, share: float) -> e.Gauged:
        """In a thread: a driver may take its time."""
        total, free = cpu.memory()
        uuid = self._gpu(view)
        device = (gauge.read(uuid) if uuid is not None else None) or gauge.UNKNOWN
        return e.Gauged(
            time=time.time(),
            cpu_share=share,
            memory_used_bytes=total - free,
            memory_bytes=total,
            worker_bytes=resident(view.pid) if view.pid is not None else 0,
            device_share=device.share,
            device_used_bytes=device.used_bytes,
            device_bytes=device.memory_bytes,
            temperature_c=device.temperature_c,
            power_watts=device.power_watts,
        )

    def _gpu(self, view: JobView) -> str | None:
        """UUID of the NVIDIA GPU that this attempt trains on; found once, since finding takes longer than looking."""
        key = (view.id, view.attempt)
        if self._device is None or self._device[0] != key:
            wanted = spec_of(self._store.home, view).training.device in ("auto", "cuda")
            usable = [device for device in cuda.detect()[0] if device.usable] if wanted else []
            self._device = (key, usable[0].uuid if usable else None)
        return self._device[1]


def cpu_share() -> float:
    """Mean of the cores that we may use, since the last call."""
    cores = psutil.cpu_percent(percpu=True)
    if hasattr(os, "sched_getaffinity"):
        cores = [cores[core] for core in os.sched_getaffinity(0) if core < len(cores)] or cores
    return sum(cores) / len(cores) / 100


def resident(pid: int) -> int:
    """Bytes of the process and all it started. Raises psutil.Error when it has ended."""
    worker = psutil.Process(pid)
    total = int(worker.memory_info().rss)
    for child in worker.children(recursive=True):
        try:
            total += int(child.memory_info().rss)
        except psutil.NoSuchProcess:  # a helper that ended while we counted
            continue
    return total
