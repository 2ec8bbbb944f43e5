"""Signals reach a worker and what it started, and nobody else: not by number alone, not our own group, not init's."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import msgspec
import psutil
import pytest

from tunesmith.daemon import recovery
from tunesmith.daemon.recovery import MARK, WorkerRecord, record_of

SLEEP = "import time; time.sleep(1000)"
# Starts a child in its own group, says who it is, and ends when its input does.
PARENT = (
    "import subprocess, sys; child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(1000)']);"
    "print(child.pid, flush=True); sys.stdin.read()"
)


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts Python code as the leader of a session."""
    started: list[subprocess.Popen[str]] = []

    def begin(code: str, mark: str = "") -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", code], start_new_session=True, env=os.environ | ({MARK: mark} if mark else {}),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()


def gone(pid: int) -> bool:
    """Within two seconds."""
    for _ in range(200):
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.01)
    return False


def orphan(start: Callable[..., subprocess.Popen[str]], mark: str) -> tuple[WorkerRecord, int]:
    """The record of a worker that has ended, and the process that it left in its group."""
    parent = start(PARENT, mark)
    assert parent.stdout is not None and parent.stdin is not None
    child = int(parent.stdout.readline())
    record = record_of(parent.pid, mark=mark)
    parent.stdin.close()
    parent.wait(10)
    return record, child


def test_what_a_dead_worker_left_in_its_group_ends(start: Callable[..., subprocess.Popen[str]]) -> None:
    record, child = orphan(start, "/jobs/1")
    recovery.kill_group(record)
    assert gone(child)


def test_one_that_is_just_becoming_another_program_ends_too(
    start: Callable[..., subprocess.Popen[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    record, child = orphan(start, "/jobs/1")
    environ, looks = psutil.Process.environ, list[int]()

    def not_yet(process: psutil.Process) -> dict[str, str]:
        looks.append(process.pid)
        return {} if looks.count(process.pid) == 1 else environ(process)

    monkeypatch.setattr(psutil.Process, "environ", not_yet)
    recovery.kill_group(record)
    assert gone(child) and looks.count(child) == 2


def test_a_group_of_the_same_number_that_is_not_ours_is_let_be(start: Callable[..., subprocess.Popen[str]]) -> None:
    record, child = orphan(start, "/jobs/of another")
    for stranger in (msgspec.structs.replace(record, mark="/jobs/1"), msgspec.structs.replace(record, mark="")):
        recovery.kill_group(stranger)
    assert not gone(child)
    os.kill(child, signal.SIGKILL)


@pytest.mark.parametrize(
    "change", [{"start_time": 1.0}, {"boot": "another"}], ids=["another start time", "another boot"]
)
def test_a_number_that_was_given_again_is_not_our_worker(
    start: Callable[..., subprocess.Popen[str]], change: dict[str, object]
) -> None:
    process = start(SLEEP)
    stranger = msgspec.structs.replace(record_of(process.pid), **change)  # type: ignore[arg-type]
    recovery.tell(stranger, signal.SIGKILL)
    recovery.kill_group(stranger)
    assert not recovery.lives(stranger) and not gone(process.pid)


@pytest.mark.parametrize("group", [-1, 0, 1])
def test_a_group_that_is_everybody_is_never_signalled(monkeypatch: pytest.MonkeyPatch, group: int) -> None:
    sent: list[object] = []
    monkeypatch.setattr("tunesmith.daemon.recovery.os.killpg", lambda *said: sent.append(said))
    monkeypatch.setattr("tunesmith.daemon.recovery.os.kill", lambda *said: sent.append(said))
    recovery.kill_group(WorkerRecord(group, 1.0, recovery.boot(), group))
    recovery.tell(WorkerRecord(group, 1.0, recovery.boot(), group), signal.SIGTERM)
    assert sent == []


def test_our_own_group_is_never_signalled(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[object] = []
    monkeypatch.setattr("tunesmith.daemon.recovery.os.killpg", lambda *said: sent.append(said))
    ours = psutil.Process()  # the leader of our group may have ended long ago
    recovery.kill_group(WorkerRecord(ours.pid, ours.create_time(), recovery.boot(), os.getpgrp()))
    assert sent == []
