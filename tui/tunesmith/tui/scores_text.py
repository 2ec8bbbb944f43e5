"""The scores of a run in figures and words: a figure with its interval, and whether a change is clear."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tunesmith.daemon.api.events import Answered, Measured, RowScore
from tunesmith.daemon.api.view import JobView
from tunesmith.recipes.intervals import Interval
from tunesmith.tui.plain import one_line

BETTER, WORSE, UNCLEAR = "better", "worse", "unclear"


def number(value: float, top: float, sign: str = "") -> str:
    """On a scale of 1 three digits, on one of 100 one: neither pretends to know more than some hundred rows tell."""
    return f"{value:{sign}.3f}" if top <= 1 else f"{value:{sign}.1f}"


def figure(interval: Interval, top: float, sign: str = "") -> str:
    ends = f"{number(interval.low, top, sign)} … {number(interval.high, top, sign)}"
    return f"{number(interval.value, top, sign)} [{ends}]"


def verdict(measured: Measured) -> str:
    """Clear is a change whose 95 % interval does not hold 0."""
    if measured.change.low > 0:
        return BETTER
    return WORSE if measured.change.high < 0 else UNCLEAR


def label(measured: Measured) -> str:
    """Its name, with what the recipe says of it where that is more."""
    ours = measured.score if not measured.own_code and measured.score != measured.name else ""
    return one_line(f"{measured.name} ({ours})" if ours else measured.name)


def changed_rows(view: JobView, measured: Measured) -> Iterator[tuple[RowScore, Answered | None, Answered | None]]:
    """The rows that changed most, with what was answered before and after."""
    said = {(a.subject, a.row): a for a in view.answers if a.set_name == "held_out"}
    for row in measured.changed:
        yield row, said.get(("base", row.row)), said.get(("tuned", row.row))


def as_json(view: JobView) -> list[dict[str, Any]]:
    """Every score of a run, for `--json`; its rows with question and answers."""
    return [
        {
            "name": one.name,
            "score": one.score,
            "rows": one.rows,
            "top": one.top,
            "before": one.before,
            "after": one.after,
            "change": one.change,
            "verdict": verdict(one),
            "own_code": one.own_code or None,
            "changed": [
                {
                    "row": row.row,
                    "question": before and before.question,
                    "expected": before and before.expected,
                    "before": row.before,
                    "after": row.after,
                    "answer_before": before and before.answer,
                    "answer_after": after and after.answer,
                }
                for row, before, after in changed_rows(view, one)
            ],
        }
        for one in view.measured
    ]
