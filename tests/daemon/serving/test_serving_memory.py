"""Memory that models take counts before the system shows it: for the next model, and for the queue of runs."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import psutil
from toy_room import GB, PLENTY

from tunesmith.daemon.admission import without
from tunesmith.daemon.api.view import JobView, StageView
from tunesmith.daemon.room import Room
from tunesmith.daemon.serving import memory
from tunesmith.daemon.serving.memory import Needed
from tunesmith.daemon.serving.subjects import Subject
from tunesmith.recipes.models.starter_file import starter_gguf
from tunesmith.recipes.planner.forecast import Forecast, StageForecast

FORECAST = Forecast(
    level="counted", device="cpu", dtype="float32", parts=(), stages=(), memory_spread=(0.1, 0.1),
    time_spread=(0.1, 0.1), tokens=1, steps=1, step_seconds=1.0, recomputed=0,
)  # fmt: skip


def subject(path: Path) -> Subject:
    return Subject(name="one", path=path, log=path.with_name("log"))


def test_what_a_process_has_not_taken_yet_is_held_back() -> None:
    own = psutil.Process().memory_info()
    taken = own.rss - getattr(own, "shared", 0)
    assert memory.unseen(Needed(taken + 10 * GB), os.getpid()) > 9 * GB
    assert memory.unseen(Needed(1), os.getpid()) == 0


def test_a_run_promises_what_its_stages_to_come_will_take() -> None:
    sizes = (("train", 9 * GB), ("evaluate", 5 * GB), ("verify", 6 * GB), ("benchmark", GB))
    of_stages = tuple(StageForecast(name, size, 0, 1.0, 0) for name, size in sizes)
    forecast = msgspec.structs.replace(FORECAST, stages=of_stages)
    for done, left in (("", 9 * GB), ("train", 6 * GB), ("train evaluate verify", GB)):
        stages = tuple(StageView(name, "done" if name in done.split() else "running") for name, _ in sizes)
        assert memory.ahead(JobView(1, "run", forecast=forecast, stages=stages)) == left
    assert memory.ahead(JobView(1, "run")) == 0


def test_a_process_that_is_gone_holds_nothing_back() -> None:
    gone = next(pid for pid in range(2**22 - 1, 2, -1) if not psutil.pid_exists(pid))
    assert memory.unseen(Needed(GB), gone) == 0


def test_a_run_is_admitted_to_what_models_leave() -> None:
    left = without(Room(PLENTY, 1000 * GB), 60 * GB).place
    assert (left.host_free_bytes, left.free_bytes) == (4 * GB, 4 * GB)  # a CPU's memory is the machine's
    assert without(Room(PLENTY, 1000 * GB), 100 * GB).place.host_free_bytes == 0


def test_a_file_is_forecast_with_its_cache_and_one_that_cannot_be_read_by_its_size(tmp_path: Path) -> None:
    file = starter_gguf()
    short, long = (memory.needed(subject(file), tokens) for tokens in (512, 4096))
    assert file.stat().st_size < short.bytes < long.bytes < file.stat().st_size + GB
    (tmp_path / "junk.gguf").write_bytes(b"GGUF" + bytes(1000))
    assert 1004 < memory.needed(subject(tmp_path / "junk.gguf"), 4096).bytes < GB
