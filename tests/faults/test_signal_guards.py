"""I7: no signal ever goes to a process or group that is not the recorded worker's, whatever its record says."""

from __future__ import annotations

import os
import signal

import msgspec
import psutil
import pytest

from tunesmith.daemon import recovery
from tunesmith.daemon.recovery import WorkerRecord


def of(pid: int, **other: object) -> WorkerRecord:
    """A record of that very process, but for `other`."""
    record = WorkerRecord(pid=pid, start_time=psutil.Process(pid).create_time(), boot=recovery.boot(), group=pid)
    return msgspec.structs.replace(record, **other)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Whom signals were for; none is really sent."""
    found: list[int] = []
    monkeypatch.setattr(os, "kill", lambda pid, number: found.append(pid))
    monkeypatch.setattr(os, "killpg", lambda group, number: found.append(group))
    return found


def test_nothing_is_sent_to_init_to_everybody_to_ourselves_or_to_another_boot(sent: list[int]) -> None:
    us = os.getpid()
    for record in (
        of(1), of(us, group=1, start_time=of(1).start_time), of(us, group=0), of(us, group=-1),
        of(us, group=os.getpgrp()), of(us, boot="another"),
    ):  # fmt: skip
        recovery.kill_group(record)
        assert sent == [], record


def test_nothing_is_sent_to_a_process_that_has_the_number_now(sent: list[int]) -> None:
    other = of(os.getppid())
    other = msgspec.structs.replace(other, start_time=other.start_time - 100)
    recovery.kill_group(other)
    recovery.tell(other, signal.SIGTERM)
    assert sent == []
