"""Scores as they are typed: nothing is lost between the line and the list, whatever a pattern holds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.recipes.errors import RecipeError
from tunesmith.tui.name_list import joined, split


def test_spaces_and_commas_part_them_and_each_stands_once() -> None:
    assert split("exact_match,chrf  rouge_l, chrf") == ("exact_match", "chrf", "rouge_l")
    assert split("  ") == () and joined(()) == ""


def test_a_pattern_keeps_its_commas_and_backslashes() -> None:
    assert split(r"exact_match regex:^\d{1,3}$ json") == ("exact_match", r"regex:^\d{1,3}$", "json")
    assert split(r"'regex:a, b' chrf") == ("regex:a, b", "chrf")


def test_a_quote_that_is_open_is_said() -> None:
    with pytest.raises(RecipeError) as refused:
        split("chrf 'regex:a b")
    assert refused.value.hint == "Close the quote."


signs = st.characters(exclude_categories=("C", "Z"), include_characters=" ")
patterns = st.text(signs, min_size=1).map(str.strip).filter(bool)


@given(
    st.lists(patterns, max_size=1),
    st.lists(st.sampled_from(("chrf", "json", "/a b/own.py:f")), unique=True),
)
def test_what_was_joined_is_split_again(pattern: list[str], others: list[str]) -> None:
    scores = [*others, *(f"regex:{text}" for text in pattern)]
    assert sorted(split(joined(scores))) == sorted(scores)
