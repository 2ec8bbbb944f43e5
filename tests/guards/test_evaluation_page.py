"""docs/evaluation.md says what the cards say, and its recipe is one."""

from __future__ import annotations

import re
from pathlib import Path

from tunesmith.recipes import evals, gate, spec

PAGE = (Path(__file__).parents[2] / "docs/evaluation.md").read_text("utf-8")


def as_written(card: evals.Eval) -> str:
    if card.key == evals.OWN_CODE:
        return f"scorer.py:{card.argument}"
    return f"{card.key}:{card.argument}" if card.key == "regex" else card.key


def test_the_table_of_scores_is_made_of_the_cards() -> None:
    rows = re.findall(r"^\| `([a-zA-Z_.:]+)` \| (\d+) \| (.+) \|$", PAGE, re.MULTILINE)
    assert rows == [(as_written(card), f"{card.top:g}", card.blurb) for card in evals.cards().values()]


def test_the_recipe_on_it_is_a_recipe() -> None:
    (text,) = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    evaluation = spec.parse(text, Path("/recipes")).evaluation
    assert len(evaluation.scores) == 4 and evaluation.fail_if


def test_every_measure_of_a_gate_is_named() -> None:
    assert [name for name in gate.MEASURES if f"`{name}`" not in PAGE] == []
