"""The recipe's scores in a report: each with its intervals, the rows that changed most, and whose code it was."""

from __future__ import annotations

from collections.abc import Iterator

from tunesmith.daemon.api.events import Measured
from tunesmith.daemon.api.view import JobView
from tunesmith.tui.plain import one_line, plain
from tunesmith.tui.report.blocks import Block, Heading, Paragraph, Table
from tunesmith.tui.scores_text import changed_rows, figure, label, number, verdict
from tunesmith.tui.texts import t
from tunesmith.tui.widgets.feed import subject_name

MARKS = {"better": "▲", "worse": "▼", "unclear": "·"}
ROWS_SHOWN = 5  # of each score
ANSWER_CHARACTERS = 500


def measured(view: JobView) -> Iterator[Block]:
    """Nothing where the recipe asked for no scores."""
    if not view.measured:
        return
    yield Heading(t("scores.title"), 3)
    head = (t("scores.score"), subject_name("base"), subject_name("tuned"), t("compare.column_change"), "")
    yield Table(head, tuple(map(_row, view.measured)), frozenset({1, 2, 3}))
    yield Paragraph(t("scores.rows", count=max(one.rows for one in view.measured)))
    for path in dict.fromkeys(one.own_code for one in view.measured if one.own_code):
        yield Paragraph(t("scores.own_code", path=plain(path)), "!")
    rows = tuple(row for one in view.measured for row in _changed(view, one))
    if rows:
        yield Heading(t("scores.changed"), 3)
        titles = (t("scores.score"), "", t("result.question"), subject_name("base"), subject_name("tuned"))
        yield Table(titles, rows, frozenset({1}))


def _row(one: Measured) -> tuple[str, ...]:
    told = verdict(one)
    return (
        label(one),
        figure(one.before, one.top),
        figure(one.after, one.top),
        figure(one.change, one.top, "+"),
        f"{MARKS[told]} {t(f'scores.{told}')}",
    )


def _changed(view: JobView, one: Measured) -> Iterator[tuple[str, ...]]:
    for row, before, after in list(changed_rows(view, one))[:ROWS_SHOWN]:
        values = f"{number(row.before, one.top)} → {number(row.after, one.top)}"
        question = plain(before.question).strip() if before else "—"
        said = (plain(a.answer).strip()[:ANSWER_CHARACTERS] or "—" if a else "—" for a in (before, after))
        yield one_line(one.name), values, question, *said
