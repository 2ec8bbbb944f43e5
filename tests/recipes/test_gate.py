"""The gate's grammar: what it reads means what arithmetic says; what it cannot read is told with its place."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.recipes import gate
from tunesmith.recipes.errors import EvaluationError, RecipeError
from tunesmith.recipes.spec import parse

VALUES = {"perplexity": 12.0, "before.perplexity": 10.0, "loss": 2.5, "chrf": 40.0, "before.chrf": 50.0}


def fails(text: str) -> bool:
    return gate.parse(text).fails(VALUES)


def refusal(text: str) -> str:
    with pytest.raises(RecipeError) as caught:
        gate.parse(text)
    assert caught.value.hint
    return caught.value.message


@pytest.mark.parametrize(
    ("text", "met"),
    [
        ("perplexity > 1.1 * before.perplexity", True),
        ("perplexity > 1.2 * before.perplexity", False),
        ("perplexity >= 1.2 * before.perplexity", True),
        ("chrf - before.chrf < -5 and loss > 3", False),
        ("chrf < before.chrf or loss > 3 and loss > 4", True),
        ("(chrf < before.chrf or loss > 3) and loss > 4", False),
        ("(chrf) < (((before.chrf)))", True),
        ("-(-loss) == 2.5", True),
        ("10 - 4 - 3 == 3 and 16 / 4 / 2 == 2 and 2 + 3 * 4 == 14", True),
        ("loss != 2.5", False),
        ("1e2>99", True),
    ],
)
def test_a_condition_is_met_or_not(text: str, met: bool) -> None:
    assert fails(text) is met


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "character 1: a measure or a number is missing"),
        ("loss", "character 5: a comparison is missing"),
        ("loss >", "character 7: a measure or a number is missing"),
        ("loss > 3 chrf", "character 10: 'chrf' is not expected here"),
        ("loss => 3", "character 6: '=' means nothing here"),
        ("1 < loss < 3", "character 10: a comparison has two sides"),
        ("(loss > 3) + 1 > 2", "character 12: '+' is of figures"),
        ("-(loss > 3) > 1", "character 1: '-' is of figures"),
        ("loss and chrf > 1", "character 6: a comparison is missing"),
        ("loss > 3 and chrf", "a comparison is missing"),
        ("(loss > 3", "character 10: the parenthesis of character 1 is not closed"),
        ("loss > 3)", "character 9: ')' is not expected"),
        ("loss > 1.", "character 9: '.' means nothing"),
        ("loss ** 2 > 1", "character 7: '*' stands for no figure"),
        ("or > 1", "character 1: 'or' stands for no figure"),
        ("loss > 1e999", "too large"),
        ("__import__('os')", "character 12: ''' means nothing here"),
        ("loss > ３", "means nothing here"),
        ("(" * 31 + "1", "more than 30"),
        ("1 + " * 200 + "1 > 2", "801"),
    ],
)
def test_what_it_cannot_read_is_told_with_its_place(text: str, said: str) -> None:
    found = refusal(text)
    assert said in found if said != "801" else "characters" in found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("bleu > 1", "character 1: 'bleu' was not measured"),
        ("loss > 1 or before.loss > 1", "'before.loss' was not measured"),
        ("loss / (chrf - 40) > 1", "character 6: it divides by zero"),
        ("1e308 * 10 > loss", "past all numbers"),
    ],
)
def test_what_has_no_answer_is_no_pass(text: str, said: str) -> None:
    with pytest.raises(EvaluationError) as caught:
        fails(text)
    assert said in caught.value.message and caught.value.code == "gate_unanswered"


def leaf() -> st.SearchStrategy[str]:
    numbers = st.integers(0, 999).map(str) | st.floats(0.001, 999, allow_nan=False).map(lambda x: f"{x:.4f}")
    return numbers | st.sampled_from(["loss", "chrf", "perplexity"])


figures = st.recursive(
    leaf(),
    lambda inner: (
        st.tuples(inner, st.sampled_from("+-*"), inner).map(lambda p: f"{p[0]} {p[1]} {p[2]}")
        | inner.map(lambda text: f"({text})")
        | inner.map(lambda text: f"-({text})")
    ),
    max_leaves=8,
)
comparisons = st.tuples(figures, st.sampled_from(list(gate.COMPARED)), figures).map(" ".join)
conditions = st.recursive(
    comparisons,
    lambda inner: (
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(" ".join) | inner.map(lambda text: f"({text})")
    ),
    max_leaves=4,
)


@given(conditions.filter(lambda text: len(text) <= gate.MOST_CHARACTERS))
def test_it_means_what_arithmetic_says(text: str) -> None:
    values = {"loss": 2.5, "chrf": 40.0, "perplexity": 12.0}
    assert gate.parse(text).fails(values) is eval(text, {"__builtins__": {}}, values)  # of the text made above only


@given(st.text(alphabet="lostchrf.<>=!+-*/() 0123456789eand\n\tо", max_size=40) | st.text(max_size=40))
def test_any_text_is_read_or_refused_with_a_place(text: str) -> None:
    try:
        found = gate.parse(text)
    except RecipeError as error:
        assert "character" in error.message
    else:
        assert all(1 <= at <= len(text) for at in found.names().values())
        try:
            found.fails({name: 1.0 for name in found.names()})
        except EvaluationError as error:
            assert error.code == "gate_unanswered"


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_no_value_slips_through_as_no_number(value: float) -> None:
    read = gate.parse("loss > 1 or loss <= 1")
    if math.isfinite(value):
        assert read.fails({"loss": value})
    else:
        with pytest.raises(EvaluationError):
            read.fails({"loss": value})


def recipe_refusal(**evaluation: object) -> RecipeError:
    with pytest.raises(RecipeError) as caught:
        parse(json.dumps({"evaluation": evaluation}), Path("/recipes"))
    return caught.value


def test_a_recipe_names_measures_that_it_takes() -> None:
    good = {"scores": ["chrf", "mine.py:polite"], "fail_if": "chrf < before.chrf or polite < 0.5 or correct < 0.8"}
    assert parse(json.dumps({"evaluation": good}), Path("/")).evaluation.fail_if == good["fail_if"]
    unknown = recipe_refusal(fail_if="loss > 1 and perplexty > 2")
    assert "character 14: there is no measure 'perplexty'" in unknown.message
    assert "perplexity" in unknown.hint
    assert "no measure 'before.bleu'" in recipe_refusal(scores=["chrf"], fail_if="before.bleu > 1").message
    assert "does not measure" in recipe_refusal(general=False, fail_if="general_perplexity > 9").message
    assert "does not measure" in recipe_refusal(answers=0, fail_if="correct < 1").message
