"""The queue's order: by number until somebody is moved, and a place is always found between two others."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.daemon import order
from tunesmith.daemon.api.view import JobView

JOBS = 6


def ids(jobs: list[JobView]) -> list[int]:
    return [view.id for view in order.queue(jobs)]


@given(st.lists(st.tuples(st.integers(1, JOBS), st.none() | st.integers(1, JOBS)), max_size=200))
def test_any_moves_one_after_the_other_come_out_as_said(moves: list[tuple[int, int | None]]) -> None:
    jobs = {number: JobView(number, "run") for number in range(1, JOBS + 1)}
    expected = list(jobs)
    for job, before in moves:
        if job == before:
            continue
        for number, place in order.moved(order.queue(jobs.values()), job, before).items():
            jobs[number] = msgspec.structs.replace(jobs[number], moved=place)
        expected.remove(job)
        expected.insert(0 if before is None else expected.index(before), job)
        assert ids(list(jobs.values())) == expected


def test_when_no_number_is_left_between_two_all_are_numbered_anew() -> None:
    jobs = [JobView(1, "a", moved=1.0), JobView(2, "b", moved=1.0 + 2**-52), JobView(3, "c")]
    places = order.moved(order.queue(jobs), 3, before=2)
    assert places == {1: 1.0, 3: 2.0, 2: 3.0}
