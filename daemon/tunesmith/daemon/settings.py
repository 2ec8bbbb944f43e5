"""What the environment may change about a daemon; read once, by `__main__`, and passed on."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

# A run of the starter leaves about 1 GB (merged, f16, q8_0); twice that keeps the database and the log writable too.
FREE_DISK_NEEDED = 2_000_000_000


class Settings(msgspec.Struct, frozen=True):
    """Times in seconds. Tests put toys in the real modules' places and shorten the waits."""

    worker_module: str = "tunesmith.daemon.worker"
    engine_module: str = "tunesmith.daemon.worker.serve"
    room_module: str = "tunesmith.daemon.room"
    admission_retry_s: float = 3.0  # a person who has closed a program sees the run start
    gauge_every_s: float = 2.0  # faster tells a person nothing more, and a look at a GPU takes milliseconds
    free_disk_needed: int = FREE_DISK_NEEDED
    cancel_grace_s: float = 10.0  # time for a worker to write Cancelled: one step of a slow CPU run
    worker_nice: int = 0  # how much workers stand back behind other programs, up to 19
    pause_grace_s: float = 120.0  # time for a worker to end its step and save a checkpoint: nobody waits for a pause
    lease_s: float = 60.0  # without a sign of life of a worker: longer than the steps that most machines take
    engine_idle_s: float = 300.0  # without a question: then a model gives its memory back


def read(environment: Mapping[str, str]) -> Settings:
    """`TUNESMITH_WORKER_MODULE`, `TUNESMITH_ENGINE_MODULE`, `TUNESMITH_FREE_DISK_NEEDED` and so on."""
    given = {
        name: environment[key]
        for name in Settings.__struct_fields__
        if (key := f"TUNESMITH_{name.upper()}") in environment
    }
    return msgspec.convert(given, Settings, strict=False)
