"""Segments: every token of a window is attended to once, among its own sequence's."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.daemon.worker.packing.segments import TOLERANCE, Segments

Lengths = st.lists(st.integers(1, 60), min_size=1, max_size=20)


@given(Lengths)
def test_the_groups_are_the_sequences_in_order(lengths: list[int]) -> None:
    groups = Segments(lengths).groups
    assert sum(group.rows for group in groups) == len(lengths)
    first = 0
    for group in groups:
        of_group = lengths[first : first + group.rows]
        assert group.tokens == sum(of_group) and group.longest == max(of_group)
        first += group.rows


@given(Lengths)
def test_a_row_of_a_group_s_layout_is_one_sequence(lengths: list[int]) -> None:
    first = 0
    for group in Segments(lengths).groups:
        filled = np.zeros(group.rows * group.longest, int)
        if group.slots is None:
            assert group.tokens == len(filled)
            filled[:] = np.arange(1, group.tokens + 1)
        else:
            filled[group.slots.numpy()] = np.arange(1, group.tokens + 1)
        token = 1
        for row, length in zip(filled.reshape(group.rows, -1), lengths[first : first + group.rows], strict=True):
            assert row[:length].tolist() == list(range(token, token + length))
            assert not row[length:].any(), "padding comes last, where causal attention does not see it"
            token += length
        first += group.rows


@given(Lengths)
def test_the_sequences_of_a_group_are_of_like_length(lengths: list[int]) -> None:
    for group in Segments(lengths).groups:
        assert group.tokens >= group.rows * group.longest * (1 - TOLERANCE)


@given(Lengths)
def test_positions_restart_and_ends_add_up(lengths: list[int]) -> None:
    segments = Segments(lengths)
    assert segments.ends.tolist() == [0, *np.cumsum(lengths)]
    starts = np.flatnonzero(segments.positions() == 0)
    assert starts.tolist() == segments.ends.tolist()[:-1]
    assert segments.tokens == len(segments.positions()) == sum(lengths)
    assert segments.longest == max(lengths)


def test_sequences_of_one_length_need_no_padding() -> None:
    (group,) = Segments([7, 7, 7]).groups
    assert group.slots is None and group.rows == 3


def test_a_much_shorter_sequence_is_a_group_of_its_own() -> None:
    assert [group.rows for group in Segments([40, 38, 9, 10]).groups] == [2, 2]


def test_segments_stay_the_same_object_on_the_same_device() -> None:
    segments = Segments([3, 4])
    assert segments.to("cpu") is segments
