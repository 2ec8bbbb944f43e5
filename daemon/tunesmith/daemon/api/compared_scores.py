"""The scores of two runs compared: what each came to and how sure the difference is. Data in, data out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec

from tunesmith.daemon.api.view import JobView
from tunesmith.recipes.intervals import Interval, bootstrapped, difference, wilson

CORRECT = "correct"  # the share of graded answers that are right, as a gate calls it
BETTER, WORSE, UNCLEAR = "better", "worse", "unclear"
Question = tuple[str, str, int]  # what is asked and expected, and how often that was asked before


class ScoreChange(msgspec.Struct, frozen=True):
    """What both tuned models came to in a score, from 0 to `top`, with 95 % intervals; None where one has none.

    `change` is of b against a. `paired`: both answered the same questions, and each was drawn with both of its answers;
    else the two are of different rows, and the interval is wider. `verdict` is better, worse, unclear (the interval
    holds 0), or empty where there is no change.
    """

    name: str
    score: str
    top: float
    a: Interval | None
    b: Interval | None
    change: Interval | None = None
    paired: bool = False
    verdict: str = ""
    own_code: str = ""


class Taken(msgspec.Struct, frozen=True):
    """A score of one run; `each` question's where it is the mean of them and the run says them."""

    name: str
    top: float
    interval: Interval
    each: Mapping[Question, float]
    own_code: str = ""


def scores(a: JobView, b: JobView) -> tuple[ScoreChange, ...]:
    """Those that at least one of the two took, answers that are right first."""
    left, right = taken(a), taken(b)
    return tuple(_compared(score, left.get(score), right.get(score)) for score in dict.fromkeys((*left, *right)))


def taken(view: JobView) -> dict[str, Taken]:
    """By what the recipe calls them; a score that was taken once more counts as it was last."""
    asked = _questions(view)
    marks = [a for a in view.answers if a.subject == "tuned" and a.set_name == "held_out" and a.correct is not None]
    found: dict[str, Taken] = {}
    if marks:
        each = {asked[answer.row]: float(bool(answer.correct)) for answer in marks}
        found[CORRECT] = Taken(CORRECT, 1.0, wilson(sum(each.values()), len(each)), each)
    for one in view.measured:
        known = len(one.row_scores) == len(asked) and set(asked) == set(range(len(asked)))
        each = {asked[row]: value for row, value in enumerate(one.row_scores)} if known else {}
        found[one.score] = Taken(one.name, one.top, one.after, each, one.own_code)
    return found


def _questions(view: JobView) -> dict[int, Question]:
    """Of each held-out row what was asked: two runs may hold out the same rows in another order."""
    seen: Counter[tuple[str, str]] = Counter()
    found: dict[int, Question] = {}
    for answer in view.answers:
        if answer.subject == "tuned" and answer.set_name == "held_out":
            asked = (answer.question, answer.expected)
            found[answer.row] = (*asked, seen[asked])
            seen[asked] += 1
    return found


def _compared(score: str, a: Taken | None, b: Taken | None) -> ScoreChange:
    one = a or b
    assert one is not None  # it is a score of one of the two
    made = ScoreChange(
        one.name, score, one.top, a.interval if a else None, b.interval if b else None, own_code=one.own_code
    )
    if a is None or b is None:
        return made
    paired = bool(a.each) and a.each.keys() == b.each.keys()
    change = _paired(a.each, b.each) if paired else difference(a.interval, b.interval)
    verdict = BETTER if change.low > 0 else WORSE if change.high < 0 else UNCLEAR
    return msgspec.structs.replace(made, change=change, paired=paired, verdict=verdict)


def _paired(a: Mapping[Question, float], b: Mapping[Question, float]) -> Interval:
    """Of the mean over the same questions."""
    before, after = ([(values[question], 1.0) for question in a] for values in (a, b))
    return bootstrapped(before, after, _mean)[2]


def _mean(sums: Sequence[float]) -> float:
    return sums[0] / sums[1]
