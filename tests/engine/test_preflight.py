"""Room on the disk is looked at before a stage that writes; a disk that is full for a while costs no run."""

from __future__ import annotations

import collections
import errno
import os
import shutil
import time
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest
from histories import FORECAST

from tunesmith.daemon.api import events as e
from tunesmith.daemon.worker import context as contexts
from tunesmith.daemon.worker import planned, preflight
from tunesmith.daemon.worker.context import Context
from tunesmith.recipes.errors import MachineError
from tunesmith.recipes.models import catalogue
from tunesmith.recipes.planner import ASSUMED
from tunesmith.recipes.spec import JobSpec, complete
from tunesmith.recipes.words import say

TRAIN, EXPORT = 59_000_000, 690_000_000  # what live.FORECAST says that they write
Usage = collections.namedtuple("Usage", "total used free")


@pytest.fixture
def context(tmp_path: Path) -> Context:
    job = tmp_path / "jobs" / "7"
    job.mkdir(parents=True)
    (job / "spec.json").write_bytes(msgspec.json.encode(complete(JobSpec())))
    made = Context(job, 1)
    facts = catalogue.find("smollm2-135m-instruct").facts
    made.plan = planned.Plan(facts, ASSUMED, SimpleNamespace(), FORECAST)  # type: ignore[arg-type]
    return made


def free(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(1 << 50, 0, count))


def test_training_is_not_begun_without_room_for_what_it_comes_to(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    free(monkeypatch, TRAIN + EXPORT)
    preflight.look(context, "train")
    free(monkeypatch, TRAIN + EXPORT - 1)
    with pytest.raises(MachineError, match="checkpoints and exports need about 749") as refused:
        preflight.look(context, "train")
    assert refused.value.code == "disk_full" and "tunesmith resume 7" in refused.value.hint


def test_checkpoints_that_are_there_are_not_counted_twice(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    (context.checkpoints / "step-5").mkdir(parents=True)
    (context.checkpoints / "step-5" / "optimizer.pt").write_bytes(b"x" * 1_000_000)
    free(monkeypatch, TRAIN + EXPORT - 1_000_000)
    preflight.look(context, "train")


def test_before_the_exports_only_they_count(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    free(monkeypatch, EXPORT)
    preflight.look(context, "export")
    free(monkeypatch, EXPORT - 1)
    with pytest.raises(MachineError):
        preflight.look(context, "export")


def test_one_that_is_forced_is_held_to_the_stage_at_hand(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    (context.job / "force").touch()
    free(monkeypatch, TRAIN)
    preflight.look(context, "train")
    with pytest.raises(MachineError):
        preflight.look(context, "export")


def test_stages_that_write_little_and_runs_without_a_forecast_are_let_through(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    free(monkeypatch, 0)
    preflight.look(context, "evaluate")
    context.plan = None
    preflight.look(context, "train")


def full_for(monkeypatch: pytest.MonkeyPatch, times: int, first: int = 5) -> list[int]:
    """The disk takes `first` bytes of the next line, refuses `times` writes, then has room."""
    write, tries = os.write, list[int]()

    def refusing(handle: int, data: bytes) -> int:
        tries.append(len(data))
        if len(tries) == 1:
            return write(handle, data[:first])
        if len(tries) <= 1 + times:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(handle, data)

    monkeypatch.setattr(contexts.os, "write", refusing)
    monkeypatch.setattr(contexts.time, "sleep", lambda seconds: None)
    return tries


def journal(context: Context) -> list[e.Event]:
    return [e.decode(line) for line in (context.job / "journal-1.jsonl").read_bytes().splitlines()]


def test_an_event_waits_for_room_and_is_whole(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    tries = full_for(monkeypatch, 30)
    context.emit(e.StageStarted(time=1.0, stage="train"))
    context.emit(e.StageFinished(time=2.0, stage="train", seconds=1.0))
    assert len(tries) == 33
    assert [type(event) for event in journal(context)] == [e.StageStarted, e.StageFinished]


def test_it_does_not_wait_for_ever(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    full_for(monkeypatch, 10**9)
    clock = iter(range(0, 10**6, 100))
    monkeypatch.setattr(contexts.time, "monotonic", lambda: float(next(clock)))
    with pytest.raises(OSError, match="No space left"):
        context.emit(e.StageStarted(time=time.time(), stage="train"))


def test_a_person_who_cancels_is_not_kept_waiting(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    tries = full_for(monkeypatch, 10**9)
    context.cancelled = True
    with pytest.raises(OSError, match="No space left"):
        context.emit(e.StageStarted(time=1.0, stage="train"))
    assert len(tries) == 2


def test_notices_without_end_go_to_the_log(context: Context, capfd: pytest.CaptureFixture[str]) -> None:
    for number in range(contexts.NOTICES + 50):
        context.notice("info", say("loss", "notice {loss}", loss=number))
    told = journal(context)
    assert len(told) == contexts.NOTICES
    assert isinstance(told[-1], e.Notice) and "in its log only" in told[-1].text
    assert "info: notice 1049" in capfd.readouterr().err
