"""Regular expression: the pattern after the colon is found in the answer; ^ and $ hold the whole of it.

The dialect is that of Python's `re`; it is run by the library `regex`, which can be told to give up: a pattern that
takes longer than TIMEOUT_S on one answer would otherwise hold the worker for hours.
"""

from __future__ import annotations

import re
from typing import Any

from tunesmith.recipes.data.held_out import HeldOutRow
from tunesmith.recipes.errors import EvaluationError, RecipeError
from tunesmith.recipes.evals import Eval, Scorer

TIMEOUT_S = 2.0  # of a usual pattern an answer of 4096 tokens takes milliseconds


def open_scorer(argument: str) -> Scorer:
    import regex

    pattern: Any = regex.compile(argument)

    def score(answer: str, row: HeldOutRow) -> float:
        try:
            return float(pattern.search(answer, timeout=TIMEOUT_S) is not None)
        except TimeoutError as error:
            raise EvaluationError(
                f"The pattern '{argument}' took more than {TIMEOUT_S:g} s on the answer to '{row.question[:80]}'",
                "Make it simpler: a repetition inside of a repetition, as in (a+)+, takes for ever.",
                "scorer_failed",
            ) from error

    return Scorer(score)


def check(argument: str) -> None:
    """Raises RecipeError for what is no pattern."""
    if not argument:
        raise RecipeError(
            "evaluation.scores has 'regex' without a pattern", "Give regex:PATTERN, as in 'regex:^[0-9]+$'."
        )
    try:
        re.compile(argument)
    except (re.error, OverflowError, RecursionError) as error:
        raise RecipeError(
            f"'{argument}' is no regular expression: {error}", "Correct it in evaluation.scores."
        ) from error


CARD = Eval(
    key="regex",
    title="Regular expression",
    blurb="The pattern is found in the answer.",
    open=open_scorer,
    proportion=True,
    argument="PATTERN",
    check=check,
)
