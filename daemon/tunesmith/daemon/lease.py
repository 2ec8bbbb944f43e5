"""The lease of a worker: for how long it may give no sign of life, on the monotonic clock, before a person is told.

Signs are bytes in its journal and processor time of it or of what it started. Nothing is ended for being slow, and what
became of a job is never concluded from here: that takes the last word in the journal, or the end of the process.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

import psutil

from tunesmith.daemon.api import events as e
from tunesmith.daemon.api import wording
from tunesmith.daemon.recovery import WorkerRecord
from tunesmith.recipes.words import Words, say

LOOKS = 10  # in the time of a lease: its end is noticed a tenth late at most


class Lease:
    """`seconds` long, of the worker of `record`."""

    def __init__(self, record: WorkerRecord, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._record = record
        self._seconds = seconds
        self._clock = clock
        self._renewed = self._looked = clock()
        self._signs: tuple[int, float] = (0, 0.0)
        self._over = False

    def look(self, journal_bytes: int) -> tuple[e.Event, ...]:
        """What is to be told: that the worker has stalled, or that it is at work again. Cheap between looks."""
        now = self._clock()
        if now - self._looked < self._seconds / LOOKS:
            return ()
        self._looked = now
        signs = (journal_bytes, processor_seconds(self._record.pid))
        if signs != self._signs:
            self._signs, self._renewed = signs, now
            return self._renew()
        if self._over or now - self._renewed < self._seconds:
            return ()
        self._over = True
        silent = now - self._renewed
        stopped = is_stopped(self._record.pid)
        return (
            e.Stalled(time=time.time(), silent_s=silent, stopped=stopped),
            wording.notice("warning", _sentence(self._record.pid, silent, stopped)),
        )

    def _renew(self) -> tuple[e.Event, ...]:
        if not self._over:
            return ()
        self._over = False
        words = say("woke", "The worker process gives signs of life again.")
        return (e.Woke(time=time.time()), wording.notice("info", words))


def processor_seconds(pid: int) -> float:
    """Of the process and all that it has started and that still runs; 0 once it has ended."""
    total = 0.0
    try:
        worker = psutil.Process(pid)
        for process in (worker, *worker.children(recursive=True)):
            with contextlib.suppress(psutil.Error):  # a helper that ended while we counted
                spent = process.cpu_times()
                total += spent.user + spent.system
    except (psutil.Error, OSError):
        return 0.0
    return total


def is_stopped(pid: int) -> bool:
    """Whether a signal (SIGSTOP, ctrl-z) holds the process."""
    try:
        return bool(psutil.Process(pid).status() in (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP))
    except (psutil.Error, OSError):
        return False


def _sentence(pid: int, silent_s: float, stopped: bool) -> Words:
    seconds = f"{silent_s:.0f}"
    if stopped:
        english = "The worker process {pid} is stopped by a signal for {seconds} s; wake it: `kill -CONT {pid}`."
        return say("held", english, pid=pid, seconds=seconds)
    return say(
        "silent",
        "The worker process {pid} has neither written nor computed anything for {seconds} s. It is left alone; if it "
        "does not come back, cancel the run and resume it.",
        pid=pid,
        seconds=seconds,
    )
