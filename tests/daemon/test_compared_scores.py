"""Scores of two runs: paired where both answered the same questions, else wider, none where one is missing."""

from __future__ import annotations

import msgspec
import pytest

from tunesmith.daemon.api import events as e
from tunesmith.daemon.api.compare import compare
from tunesmith.daemon.api.compared_scores import CORRECT, ScoreChange, scores
from tunesmith.daemon.api.view import JobView, fold
from tunesmith.recipes.intervals import Interval, difference, wilson

ROWS = 40
HALF = Interval(0.5, 0.35, 0.65)


def run(
    right: int, *, asked: str = "Question", order: int = 1, told: bool = True, score: str = "exact_match"
) -> JobView:
    """A run that answers `right` of ROWS questions right; `told`: it says the score of each row."""
    rows = list(range(ROWS))[::order]
    marks = [row < right for row in rows]
    events: list[e.Event] = [
        e.Answered(
            time=0.0, subject="tuned", row=place, question=f"{asked} {row}", answer="a", expected="b", correct=mark
        )
        for place, (row, mark) in enumerate(zip(rows, marks, strict=True))
    ]
    each = tuple(map(float, marks)) if told else ()
    events.append(e.Measured(time=0.0, name=score, score=score, rows=ROWS, before=HALF, after=wilson(right, ROWS),
                             change=HALF, row_scores=each))  # fmt: skip
    view = JobView(1, "run")
    for at, event in enumerate(events, 1):
        view = fold(view, e.Numbered(at, event))
    return view


def of(a: JobView, b: JobView) -> dict[str, ScoreChange]:
    return {one.score: one for one in scores(a, b)}


def test_the_same_questions_are_paired_whatever_their_order() -> None:
    found = of(run(20), run(26, order=-1))
    for one in (found["exact_match"], found[CORRECT]):
        assert one.paired and one.verdict == "better"
        assert one.a == wilson(20, ROWS) and one.b == wilson(26, ROWS) and one.change is not None
        assert one.change.value == pytest.approx(0.15) and one.change.low > 0


@pytest.mark.parametrize("b", [run(26, asked="Another"), run(26, told=False)], ids=["other questions", "older run"])
def test_else_the_change_is_wider_and_says_so(b: JobView) -> None:
    one = of(run(20), b)["exact_match"]
    assert not one.paired and one.verdict == "unclear"
    assert one.change == difference(wilson(20, ROWS), wilson(26, ROWS))


def test_a_score_that_one_of_them_lacks_has_no_change() -> None:
    found = of(run(20), run(26, score="chrf"))
    assert [*found] == [CORRECT, "exact_match", "chrf"]
    assert (found["exact_match"].b, found["exact_match"].change, found["exact_match"].verdict) == (None, None, "")
    assert found["chrf"].a is None


def test_fewer_right_answers_are_worse_and_equal_ones_unclear() -> None:
    assert of(run(26), run(6))[CORRECT].verdict == "worse"
    assert of(run(26), run(26))[CORRECT].verdict == "unclear"


def test_runs_without_answers_have_no_scores() -> None:
    assert scores(JobView(1, "run"), JobView(2, "run")) == ()


def test_they_are_part_of_the_comparison_and_of_its_json() -> None:
    found = msgspec.to_builtins(compare(run(20), run(26), None, None))
    assert [one["score"] for one in found["scores"]] == [CORRECT, "exact_match"]
    assert set(found["scores"][0]["change"]) == {"value", "low", "high"}
