"""Over-long rows: what each policy leaves, and that nothing is lost unseen."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.recipes.data.reasons import BadRow
from tunesmith.recipes.data.rendering.lengths import fitted
from tunesmith.recipes.data.rows import Rendered


def rendered(tokens: int, trained_from: int = 0) -> Rendered:
    return Rendered("text", np.arange(tokens, dtype=np.int32), np.arange(tokens) >= trained_from)


def test_a_row_that_fits_stays_whole() -> None:
    (piece,) = fitted(rendered(10), 10, "error")
    assert piece.ids.tolist() == list(range(10))


def test_a_cut_keeps_the_side_that_its_name_says_not() -> None:
    assert fitted(rendered(10), 4, "cut_right")[0].ids.tolist() == [0, 1, 2, 3]
    assert fitted(rendered(10), 4, "cut_left")[0].ids.tolist() == [6, 7, 8, 9]


@pytest.mark.parametrize("policy", ["error", "drop"])
def test_a_row_that_may_not_be_cut_says_how_long_it_is(policy: str) -> None:
    with pytest.raises(BadRow, match=r"longer than 4 tokens \(10\)") as refused:
        fitted(rendered(10), 4, policy)
    assert refused.value.code == "over_long"


def test_a_cut_that_leaves_nothing_to_learn_is_refused() -> None:
    with pytest.raises(BadRow) as refused:
        fitted(rendered(10, trained_from=6), 4, "cut_right")
    assert refused.value.code == "nothing_trained"


def test_a_sequence_whose_only_target_is_its_first_token_teaches_nothing() -> None:
    only_first = Rendered("text", np.arange(3, dtype=np.int32), np.array([True, False, False]))
    with pytest.raises(BadRow):
        fitted(only_first, None, "error")


@given(st.integers(2, 200), st.integers(2, 50))
def test_a_split_text_keeps_every_token_that_can_be_learned(tokens: int, limit: int) -> None:
    pieces = fitted(rendered(tokens), limit, "split")
    assert all(len(piece.ids) <= limit for piece in pieces)
    kept = [token for piece in pieces for token in piece.ids.tolist()]
    # A last piece of one token has nothing before it to be told from.
    assert kept == list(range(tokens - (tokens % limit == 1 and tokens > limit)))
