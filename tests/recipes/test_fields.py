"""A knob accepts what it promises, refuses the rest with a way out, and describes itself to editors."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.recipes.errors import RecipeError
from tunesmith.recipes.fields import ChoiceField, Field, FlagField, FloatField, IntField, fill, schema

RANK = IntField("rank", 8, 1, 1024, "Width.")
RATE = FloatField("rate", 0.1, 0.0, 1.0, "Share.")
KIND = ChoiceField("kind", "cosine", ("cosine", "linear"), "Shape.")
FLAG = FlagField("packing", False, "Pack.")
ALL: tuple[Field, ...] = (RANK, RATE, KIND, FLAG)

anything = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.lists(st.integers()))


@given(st.integers(min_value=1, max_value=1024))
def test_a_whole_number_in_range_is_kept(value: int) -> None:
    assert RANK.check(value) == value


@pytest.mark.parametrize("value", [0, 1025, 8.0, "8", True, None])
def test_a_wrong_whole_number_is_refused_with_the_range(value: object) -> None:
    with pytest.raises(RecipeError) as caught:
        RANK.check(value)
    assert "1 to 1024" in caught.value.hint


def test_a_number_may_be_whole_or_the_text_that_yaml_makes_of_1e_4() -> None:
    assert RATE.check(1) == 1.0
    assert RATE.check("1e-4") == 1e-4


@pytest.mark.parametrize("value", [math.nan, math.inf, -0.1, 1.1, "a lot", True, None])
def test_a_wrong_number_is_refused(value: object) -> None:
    with pytest.raises(RecipeError):
        RATE.check(value)


def test_a_misspelt_choice_gets_the_nearest() -> None:
    with pytest.raises(RecipeError) as caught:
        KIND.check("cosin")
    assert caught.value.hint == "Did you mean 'cosine'?"


@given(st.sampled_from(ALL), anything)
def test_a_knob_either_keeps_a_value_of_its_type_or_refuses_it(field: Field, value: Any) -> None:
    try:
        kept = field.check(value)
    except RecipeError as refusal:
        assert refusal.hint
    else:
        assert type(kept) is type(field.default)
        assert field.check(kept) == kept


def test_missing_values_are_filled_in_and_unknown_names_refused() -> None:
    assert fill("tuner", ALL, {"rank": 4}) == {"rank": 4, "rate": 0.1, "kind": "cosine", "packing": False}
    with pytest.raises(RecipeError) as caught:
        fill("tuner", ALL, {"rnak": 4})
    assert "rnak" in caught.value.message
    assert caught.value.hint == "Did you mean 'rank'?"


def test_the_schema_says_range_default_and_help() -> None:
    described = schema(ALL)
    assert described["rank"] == {
        "type": "integer", "minimum": 1, "maximum": 1024, "default": 8, "description": "Width.",
    }  # fmt: skip
    assert described["kind"]["enum"] == ["cosine", "linear"]
    assert list(described) == [field.name for field in ALL]
