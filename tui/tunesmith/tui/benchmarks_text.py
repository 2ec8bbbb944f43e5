"""The public benchmarks of a run in figures and words: of the tuned model, and of the base where that was asked too."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from tunesmith.daemon.api.events import Benchmarked
from tunesmith.daemon.api.view import JobView
from tunesmith.recipes.intervals import difference
from tunesmith.tui.plain import one_line
from tunesmith.tui.scores_text import figure


class Row(msgspec.Struct, frozen=True):
    """A suite: its figures as text, empty for a model that was not asked."""

    title: str
    metric: str
    tool: str
    questions: int
    base: str
    tuned: str
    change: str
    refused: int


def rows(view: JobView) -> Iterator[Row]:
    """In the order they were taken."""
    by_suite: dict[str, dict[str, Benchmarked]] = {}
    for one in view.benchmarks:
        by_suite.setdefault(one.suite, {})[one.subject] = one
    for taken in by_suite.values():
        base, tuned, one = taken.get("base"), taken.get("tuned"), next(iter(taken.values()))
        change = figure(difference(base.figure, tuned.figure), 1.0, "+") if base and tuned else ""
        yield Row(
            one_line(one.title),
            one_line(one.metric),
            one_line(one.tool),
            one.questions,
            figure(base.figure, 1.0) if base else "",
            figure(tuned.figure, 1.0) if tuned else "",
            change,
            sum(each.refused for each in taken.values()),
        )


def as_json(view: JobView) -> list[dict[str, Any]]:
    """Every figure of a run, for `--json`."""
    return [
        {
            "suite": one.suite,
            "subject": one.subject,
            "model": one.model,
            "tool": one.tool,
            "metric": one.metric,
            "questions": one.questions,
            "figure": one.figure,
            "standard_error": one.standard_error,
            "refused": one.refused,
            "own_code": one.own_code or None,
            "parts": one.parts,
        }
        for one in view.benchmarks
    ]
