"""Windows: packing and padding lose no row and no label, and no label is told from another row's token."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.daemon.worker.packing.windows import Row, Step, Window, balanced, best_fit, packed, padded

PAD = 0
Label = tuple[tuple[int, ...], int]  # the tokens before it in its row, the token itself


@st.composite
def step_rows(draw: st.DrawFn) -> list[Row]:
    lengths = draw(st.lists(st.integers(1, 30), min_size=1, max_size=12))
    masks = [draw(st.lists(st.booleans(), min_size=length, max_size=length)) for length in lengths]
    # Tokens are distinct, so that one from another row or place would be seen.
    ids = np.split(np.arange(1, sum(lengths) + 1, dtype=np.int32), np.cumsum(lengths)[:-1])
    return [(row, np.array(mask, bool)) for row, mask in zip(ids, masks, strict=True)]


def wanted(rows: list[Row]) -> Counter[Label]:
    return Counter(
        (tuple(ids[:place].tolist()), int(ids[place]))
        for ids, mask in rows
        for place in range(1, len(ids))
        if mask[place]
    )


def found(step: Step) -> Counter[Label]:
    """What each label is told from, read off the windows as a model with causal attention in each row sees them."""
    labels: Counter[Label] = Counter()
    for window in step:
        flat, places = window.input_ids.reshape(-1), window.position_ids.reshape(-1)
        for kept, target in zip(window.kept.tolist(), window.targets.tolist(), strict=True):
            before = flat[kept - int(places[kept]) : kept + 1]
            labels[tuple(before.tolist()), target] += 1
    return labels


@given(step_rows(), st.integers(1, 64))
def test_packing_keeps_every_label_and_what_it_is_told_from(rows: list[Row], size: int) -> None:
    step = packed(rows, size)
    assert found(step) == wanted(rows)
    assert step.labels == wanted(rows).total()
    assert step.tokens == step.positions == sum(len(ids) for ids, _ in rows)
    for window in step:
        assert window.segments is not None and window.attention_mask is None
        assert window.tokens <= size or len(window.lengths) == 1
        assert (window.position_ids[0].numpy() == window.segments.positions()).all()


@given(step_rows(), st.integers(1, 64))
def test_padding_keeps_every_label_and_what_it_is_told_from(rows: list[Row], size: int) -> None:
    step = padded(rows, size, PAD)
    assert found(step) == wanted(rows)
    assert step.tokens == sum(len(ids) for ids, _ in rows)
    for window in step:
        assert window.positions == window.input_ids.numel() == window.attention_mask.numel()
        assert window.positions <= size or len(window.lengths) == 1
        assert window.attention_mask.sum(1).tolist() == list(window.lengths)
        assert (window.input_ids[window.attention_mask == 0] == PAD).all()


@given(step_rows(), st.integers(1, 64), st.integers(1, 30))
def test_rows_that_must_be_alone_are(rows: list[Row], size: int, alone: int) -> None:
    for step in (packed(rows, size, alone), padded(rows, size, PAD, alone)):
        assert found(step) == wanted(rows)
        assert all(max(window.lengths) <= alone or len(window.lengths) == 1 for window in step)


def test_the_first_token_of_a_row_is_never_a_label() -> None:
    window = Window([(np.array([5, 6]), np.ones(2, bool)), (np.array([7, 8]), np.ones(2, bool))])
    assert window.kept.tolist() == [0, 2] and window.targets.tolist() == [6, 8]


def test_a_window_without_labels_has_none() -> None:
    assert Window([(np.array([5]), np.ones(1, bool))]).labels == 0


@given(st.lists(st.integers(1, 50), max_size=40), st.integers(1, 60))
def test_best_fit_places_everything_once_within_the_size(lengths: list[int], size: int) -> None:
    bins = best_fit(lengths, size)
    assert sorted(place for places in bins for place in places) == list(range(len(lengths)))
    for places in bins:
        assert [lengths[place] for place in places] == sorted((lengths[place] for place in places), reverse=True)
    for places in bins:
        assert sum(lengths[place] for place in places) <= size or len(places) == 1


@given(st.lists(st.integers(1, 50), max_size=40), st.integers(50, 60))
def test_no_two_bins_of_best_fit_could_be_one(lengths: list[int], size: int) -> None:
    filled = sorted(sum(lengths[place] for place in places) for places in best_fit(lengths, size))
    assert len(filled) < 2 or filled[0] + filled[1] > size


@given(st.lists(st.integers(1, 20), min_size=1, max_size=7))
def test_best_fit_needs_at_most_half_more_bins_than_the_fewest(lengths: list[int]) -> None:
    """The bound is Simchi-Levi's (1994, "New worst-case results for the bin-packing problem")."""
    assert len(best_fit(lengths, 20)) <= 1.5 * fewest(lengths, 20)


@given(st.lists(st.integers(1, 50), min_size=1, max_size=40), st.integers(1, 80))
def test_balanced_windows_are_as_few_and_no_larger(lengths: list[int], size: int) -> None:
    fullest, even = best_fit(lengths, size), balanced(lengths, size)
    assert sorted(place for places in even for place in places) == list(range(len(lengths)))
    assert len(even) <= len(fullest)
    largest = [max(sum(lengths[place] for place in places) for places in bins) for bins in (fullest, even)]
    assert largest[1] <= largest[0] or largest[1] <= size


def test_balanced_windows_are_of_like_size() -> None:
    lengths = [10] * 12
    assert [len(places) for places in best_fit(lengths, 110)] == [11, 1]
    assert [len(places) for places in balanced(lengths, 110)] == [6, 6]


def test_best_fit_fills_the_tightest_bin() -> None:
    assert best_fit([6, 4, 5, 5], 10) == [[0, 1], [2, 3]]


def test_a_longer_row_than_the_window_is_alone() -> None:
    assert best_fit([3, 30, 4], 10) == [[1], [2, 0]]


def test_many_rows_are_packed_almost_full() -> None:
    lengths = np.random.default_rng(0).integers(55, 106, 256).tolist()
    assert len(best_fit(lengths, 2048)) == math.ceil(sum(lengths) / 2048) == pytest.approx(10, abs=1)


def fewest(lengths: list[int], size: int) -> int:
    """The fewest bins, by trying every way."""
    best = len(lengths)

    def place(index: int, room: list[int]) -> None:
        nonlocal best
        if len(room) >= best:
            return
        if index == len(lengths):
            best = len(room)
            return
        for bin_, left in enumerate(room):
            if left >= lengths[index]:
                place(index + 1, [*room[:bin_], left - lengths[index], *room[bin_ + 1 :]])
        place(index + 1, [*room, size - lengths[index]])

    place(0, [])
    return best
