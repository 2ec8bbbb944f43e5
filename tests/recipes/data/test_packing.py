"""The packing estimate equals packing row by row, and padding equals batches made by hand."""

from __future__ import annotations

from collections import Counter

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.recipes.data.checking import packing


def packed_one_by_one(lengths: list[int], capacity: int) -> int:
    """First-fit-decreasing as it is defined: each row into the first packed row with room, longest first."""
    room: list[int] = []
    for length in sorted(lengths, reverse=True):
        place = next((place for place, left in enumerate(room) if left >= length), None)
        if place is None:
            room.append(capacity - length)
        else:
            room[place] -= length
    return len(room)


@settings(max_examples=500)
@given(st.lists(st.integers(1, 60), max_size=120), st.integers(60, 200))
def test_counting_lengths_gives_what_packing_row_by_row_gives(lengths: list[int], capacity: int) -> None:
    assert packing.first_fit_decreasing(Counter(lengths), capacity) == packed_one_by_one(lengths, capacity)


@settings(max_examples=100)
@given(st.lists(st.sampled_from([1, 7, 16, 17, 33, 49, 50]), max_size=400))
def test_many_rows_of_few_lengths_are_packed_as_one_by_one(lengths: list[int]) -> None:
    assert packing.first_fit_decreasing(Counter(lengths), 50) == packed_one_by_one(lengths, 50)


def test_a_million_rows_are_packed_at_once() -> None:
    rows = Counter({length: 1000 for length in range(1, 2001)})
    packed = packing.first_fit_decreasing(rows, 2000)
    assert 1_000_500 <= packed <= 1_002_500


def test_a_row_longer_than_the_packed_row_is_refused() -> None:
    with pytest.raises(ValueError, match="9 tokens"):
        packing.first_fit_decreasing({9: 1}, 8)


@given(st.lists(st.lists(st.integers(1, 100), max_size=20), max_size=10))
def test_batches_are_padded_to_their_longest_row_in_the_order_of_the_file(chunks: list[list[int]]) -> None:
    batches = packing.Batches()
    for chunk in chunks:
        batches.add(numpy.array(chunk, numpy.int32))
    rows = [length for chunk in chunks for length in chunk]
    expected = [rows[start : start + packing.BATCH] for start in range(0, len(rows), packing.BATCH)]
    assert batches.total() == sum(max(batch) * len(batch) for batch in expected)


def test_the_saving_is_the_share_of_padded_tokens() -> None:
    batches = packing.Batches()
    batches.add(numpy.array([100] + [10] * 7, numpy.int32))  # padded: 800 tokens; 170 fit into two packed rows
    assert packing.estimate(batches, 100) == packing.Packing(2, 100, 0.75)


def test_nothing_to_pack_gives_no_estimate() -> None:
    assert packing.estimate(packing.Batches(), None) is None


@pytest.mark.parametrize(
    ("over_long", "expected"),
    [("error", [8, 10]), ("drop", [8, 10]), ("cut_left", [10, 8, 10]), ("cut_right", [10, 8, 10]),
     ("split", [10, 10, 5, 8, 10])],
)  # fmt: skip
def test_over_long_rows_count_as_they_are_trained(over_long: str, expected: list[int]) -> None:
    lengths = numpy.array([25, 8, 10], numpy.int32)
    assert packing.as_trained(lengths, 10, over_long).tolist() == expected
    assert packing.as_trained(lengths, None, over_long).tolist() == [25, 8, 10]
