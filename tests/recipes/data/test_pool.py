"""Chunks in parallel: results in order, few in memory, and no process outlives its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import psutil
import pytest

from tunesmith.recipes.data import pool
from tunesmith.recipes.errors import DataError, MachineError


def doubled(number: int) -> int:
    time.sleep(0.02 if number % 2 else 0)  # even ones overtake
    return 2 * number


def failing(number: int) -> int:
    if number == 5:
        raise DataError("five", "take another")
    return number


def killing(number: int) -> int:
    if number == 4:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def process_of(number: int) -> int:
    return os.getpid()


@pytest.mark.parametrize("count", [0, 1, 3, 40])
def test_results_come_in_the_order_of_the_chunks(count: int) -> None:
    assert list(pool.ordered(doubled, range(count), processes=2)) == [2 * number for number in range(count)]


def test_few_chunks_start_no_process() -> None:
    assert set(pool.ordered(process_of, range(pool.ALONE), processes=2)) == {os.getpid()}
    assert os.getpid() not in set(pool.ordered(process_of, range(20), processes=2))


def test_no_more_chunks_are_taken_than_are_worked_on() -> None:
    taken = 0

    def chunks() -> Iterator[int]:
        nonlocal taken
        for number in range(1000):
            taken += 1
            yield number

    results = pool.ordered(doubled, chunks(), processes=2)
    for _ in range(10):
        next(results)
    assert taken <= 10 + 2 * pool.AHEAD + 1
    results.close()  # type: ignore[attr-defined]


def test_an_error_in_a_process_arrives_here_as_it_is() -> None:
    with pytest.raises(DataError, match="five"):
        list(pool.ordered(failing, range(20), processes=2))


def test_a_process_that_is_killed_is_told_with_a_way_out() -> None:
    with pytest.raises(MachineError) as refused:
        list(pool.ordered(killing, range(20), processes=2))
    assert refused.value.hint


def test_the_processes_end_when_their_parent_is_killed() -> None:
    code = (
        "import time; from tunesmith.recipes.data import pool\n"
        "if __name__ == '__main__':\n"
        "    for _ in pool.ordered(time.sleep, [0.05] * 6 + [600] * 4, processes=2): print('.', flush=True)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()
        children = psutil.Process(parent.pid).children(recursive=True)
        assert len(children) >= 2
        parent.kill()
    _, alive = psutil.wait_procs(children, timeout=10)
    assert not alive
