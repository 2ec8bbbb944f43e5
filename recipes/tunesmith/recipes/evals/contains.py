"""Contains: the expected answer stands in the answer, both normalised as exact match does it."""

from __future__ import annotations

from tunesmith.recipes.data.held_out import HeldOutRow
from tunesmith.recipes.evals import Eval, Scorer, no_argument
from tunesmith.recipes.evals.exact_match import normalised


def open_scorer(argument: str) -> Scorer:
    no_argument(argument)
    return Scorer(score)


def score(answer: str, row: HeldOutRow) -> float:
    return float(normalised(row.answer) in normalised(answer))


CARD = Eval(
    key="contains",
    title="Contains",
    blurb="The expected answer stands somewhere in the answer.",
    open=open_scorer,
    proportion=True,
)
