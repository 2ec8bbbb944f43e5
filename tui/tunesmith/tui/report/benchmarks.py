"""The public benchmarks in a report: each suite's figure with its interval, and its parts."""

from __future__ import annotations

from collections.abc import Iterator

from tunesmith.daemon.api.view import JobView
from tunesmith.tui.benchmarks_text import rows
from tunesmith.tui.plain import one_line, plain
from tunesmith.tui.report.blocks import Block, Heading, Paragraph, Table
from tunesmith.tui.scores_text import number
from tunesmith.tui.texts import t
from tunesmith.tui.widgets.feed import subject_name


def benchmarks(view: JobView) -> Iterator[Block]:
    """Nothing where none was run."""
    found = list(rows(view))
    if not found:
        return
    yield Heading(t("suites.title"), 3)
    head = (t("suites.suite"), t("suites.metric"), t("suites.questions"), subject_name("base"), subject_name("tuned"),
            t("compare.column_change"))  # fmt: skip
    cells = ((row.title, row.metric, str(row.questions), row.base, row.tuned, row.change) for row in found)
    yield Table(head, tuple(tuple(cell or "—" for cell in row) for row in cells), frozenset({2, 3, 4, 5}))
    yield Paragraph(t("suites.tools", tools=", ".join(dict.fromkeys(row.tool for row in found))))
    for path in dict.fromkeys(one.own_code for one in view.benchmarks if one.own_code):
        yield Paragraph(t("suites.own_code", path=plain(path)), "!")
    parts = tuple(
        (one_line(one.title), subject_name(one.subject), one_line(part.name), str(part.questions),
         number(part.value, 1.0))
        for one in view.benchmarks
        for part in one.parts
    )  # fmt: skip
    if parts:
        yield Heading(t("suites.parts"), 3)
        yield Table(
            (t("suites.suite"), "", t("suites.part"), t("suites.questions"), t("suites.metric")),
            parts,
            frozenset({3, 4}),
        )
