"""What a worker is held to before it begins; the daemon's own is left alone."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tunesmith.daemon import limits
from tunesmith.daemon.limits import Limits


@pytest.fixture
def child() -> Iterator[int]:
    with subprocess.Popen(["sleep", "1000"]) as process:
        yield process.pid
        process.kill()


def score(pid: int) -> int:
    path = Path(f"/proc/{pid}/oom_score_adj")
    if not path.exists():
        pytest.skip("this system does not say who ends first when memory runs out")
    return int(path.read_text())


def test_a_worker_is_the_first_to_end_when_memory_runs_out(child: int) -> None:
    score(child)
    limits.first_to_end(child)
    assert score(child) == limits.OOM_SCORE


def test_one_that_is_to_end_even_sooner_stays_so(child: int) -> None:
    score(child)
    Path(f"/proc/{child}/oom_score_adj").write_text("1000")
    limits.first_to_end(child)
    assert score(child) == 1000


def test_a_process_that_is_gone_is_no_error() -> None:
    limits.first_to_end(2**22 + 1)


def test_how_far_a_worker_stands_back_is_a_setting(child: int) -> None:
    before = os.getpriority(os.PRIO_PROCESS, child)
    Limits(0, None).put_on(child, "1-1")
    assert os.getpriority(os.PRIO_PROCESS, child) == before
    Limits(19, None).put_on(child, "1-1")
    assert os.getpriority(os.PRIO_PROCESS, child) == 19


def test_a_worker_may_have_the_machine_but_a_reserve() -> None:
    total = psutil.virtual_memory().total
    assert 0 < limits.memory_for_a_worker() <= total - limits.RESERVE_BYTES


def test_the_group_is_named_by_job_and_attempt(tmp_path: Path, child: int) -> None:
    (tmp_path / "cgroup.controllers").write_text("")
    found = Limits(0, tmp_path).put_on(child, "3-1")
    assert found == str(tmp_path / "job-3-1")
    assert (tmp_path / "job-3-1" / "cgroup.procs").read_text() == str(child)


def test_without_a_place_there_is_no_group(child: int) -> None:
    assert Limits(0, None).put_on(child, "3-1") == ""
