"""What the check of the data found, every row accounted for; it grows while a large file is read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from textual.content import Content
from textual.geometry import Size
from textual.reactive import reactive
from textual.widget import Widget

from tunesmith.tui.plain import one_line
from tunesmith.tui.texts import language, shown, t
from tunesmith.tui.widgets.length_histogram import histogram

if TYPE_CHECKING:
    from tunesmith.recipes.data.checking.report import Finding, Reason, Report
    from tunesmith.recipes.data.rows import FileNotice

REASONS_SHOWN = 5
PLACES_SHOWN = 3  # of one reason; the rest is in the file of rejected rows
NOTICES_SHOWN = 3
LABELS_SHOWN = 6
INDENT = 2  # a mark and a space; what wraps stands under the text
MARKS = {"error": ("✗ ", "$error bold"), "warning": ("▲ ", "$warning bold"), "info": ("• ", "$secondary bold")}
UNMARKED = ("", "")
FAINT = "$foreground 60%"
SAID_ELSEWHERE = ("rejected", "none_kept", "no_rows")  # by the counts, the reasons, the trouble above

Line = tuple[tuple[str, str], Content]


class DataReport(Widget):
    DEFAULT_CSS = """
    DataReport { height: auto; margin-bottom: 1; }
    """

    report: reactive[Report | None] = reactive(None, layout=True)
    reading: reactive[bool] = reactive(False, layout=True)  # and nothing to report yet
    typed_path = ""  # as a command line takes it
    starter = False  # the model is the one that comes with the installation

    def watch_report(self) -> None:
        self.display = self.reading or self.report is not None

    def watch_reading(self) -> None:
        self.watch_report()

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(self._lines(width))

    def render(self) -> Content:
        return Content("\n").join(self._lines(self.content_size.width))

    def _lines(self, width: int) -> list[Content]:
        if self.report is None:
            return [Content.assemble(("… ", "$secondary bold"), t("data.reading"))] if self.reading else []
        return [
            Content.assemble(mark if at == 0 else "", " " * INDENT if at or not mark[0] else "", part.rstrip())
            for mark, line in lines(self.report, width, self.typed_path, starter=self.starter)
            for at, part in enumerate(line.wrap(max(8, width - INDENT)))
        ]


def lines(report: Report, width: int, typed_path: str = "", *, starter: bool = False) -> Iterator[Line]:
    """A mark of two cells (or none) and what stands after it, most important first."""
    yield ("✓ ", "$success bold") if report.finished else ("… ", "$secondary bold"), counted(report)
    if report.shape is not None:
        yield UNMARKED, fact("fact_shape", shape_text(report))
    for reason in report.reasons[:REASONS_SHOWN]:
        yield MARKS["warning"], left_out(reason, report)
    if more := sum(reason.rows for reason in report.reasons[REASONS_SHOWN:]):
        yield UNMARKED, Content.styled(t("data.more_reasons", rows=number(more)), FAINT)
    if report.finished and report.rows_rejected > sum(min(reason.rows, PLACES_SHOWN) for reason in report.reasons):
        yield UNMARKED, Content.styled(t("data.all_rejected", path=typed_path), FAINT)
    for finding in report.findings:
        if finding.code not in SAID_ELSEWHERE:
            place = f"   {Path(finding.first).name}" if finding.first else ""
            yield MARKS[finding.level], Content.assemble(finding_text(finding, report, typed_path), (place, FAINT))
    for notice in report.notices[:NOTICES_SHOWN]:
        yield MARKS["info"], Content(notice_text(notice))
    if (count := len(report.notices) - NOTICES_SHOWN) > 0:
        yield UNMARKED, Content.styled(t("data.more_notices", count=count), FAINT)
    if report.labels:
        yield UNMARKED, fact("fact_labels", labels_text(report.labels))
    for line in lengths(report, width - INDENT, starter):
        yield UNMARKED, line


def counted(report: Report) -> Content:
    """Rows read, kept and left out: the sum is right in every report."""
    rejected = t("data.rows_rejected", rows=number(report.rows_rejected))
    return Content.assemble(
        (t("data.rows_read", rows=number(report.rows_read)), "bold"), "   ",
        (t("data.rows_kept", rows=number(report.rows_kept)), "$success"), "   ",
        (rejected, "$warning bold" if report.rows_rejected else FAINT),
    )  # fmt: skip


def shape_text(report: Report) -> str:
    """The shape in words and why it is this one: by what a person chose, or by the columns."""
    name = shown(f"data.shape_{report.shape}")
    if report.mapping:
        columns = ", ".join(f"{one_line(column)} → {field}" for column, field in report.mapping.items())
        return f"{name}: {t('data.chosen_columns', columns=columns)}"
    why = report.why if language() == "en" else shown(f"data.why_{report.shape}")
    return f"{name}: {one_line(why)}" if why else name


def left_out(reason: Reason, report: Report) -> Content:
    """How many rows for which reason, then the first places."""
    rows = [row for row in report.rejected if row.code == reason.code][:PLACES_SHOWN] or [reason.first]
    places = "  ".join(f"{Path(row.file).name}:{row.line}" for row in rows) + " …" * (reason.rows > len(rows))
    count = (f"{number(reason.rows)} × ", "bold")
    return Content.assemble(count, one_line(reason_text(reason)), "   ", (places, FAINT))


def reason_text(reason: Reason) -> str:
    row = reason.first
    return t(f"data.{row.code}", **row.values) if known(f"data.{row.code}") else row.reason


def lengths(report: Report, width: int, starter: bool) -> Iterator[Content]:
    """Tokens a row as figures and bars, what is learned from, what packing saves; nothing without a model."""
    tokens = report.tokens
    if tokens is None:
        if report.finished and report.model is None:
            yield Content.styled(t("data.no_starter" if starter else "data.no_model"), FAINT)
        return
    figures = t("data.lengths", p50=number(tokens.p50), p95=number(tokens.p95), max=number(tokens.max))
    share = t("data.trained_share", share=percent(tokens.trained, tokens.total), tokens=number(tokens.total))
    yield fact("fact_tokens", f"{figures}   {share}")
    yield from histogram(report.histogram, width, report.max_length)
    if report.packing is not None and report.packing.padding_saved > 0:
        yield fact("fact_packing", t("data.packing_saves", share=round(report.packing.padding_saved * 100)))


def finding_text(finding: Finding, report: Report, path: str) -> str:
    """In the language where its code has a text, else as it came."""
    if not known(f"data.finding_{finding.code}"):
        return " ".join((finding.text, finding.hint)).strip()
    tokens = report.tokens
    return t(
        f"data.finding_{finding.code}", rows=number(finding.rows), path=path, limit=report.max_length,
        done=t(f"data.done_{report.over_long}"), what=finding.text.partition(": ")[2],
        p99=tokens and number(tokens.p99), max=tokens and number(tokens.max),
    )  # fmt: skip


def notice_text(notice: FileNotice) -> str:
    key = f"data.notice_{notice.code}"
    if not known(key):
        return one_line(notice.text)
    line = re.search(r"line (\d+)", notice.text)
    values = {"line": line and line[1]} | dict(notice.values)
    return one_line(f"{Path(notice.file).name}: {t(key, **values)}")


def known(key: str) -> bool:
    return shown(key) != key


def labels_text(labels: dict[str, int]) -> str:
    rows = sum(labels.values())
    first = sorted(labels.items(), key=lambda item: -item[1])[:LABELS_SHOWN]
    text = "   ".join(f"{one_line(label)} {percent(count, rows)} %" for label, count in first)
    return text + (" …" if len(labels) > LABELS_SHOWN else "")


def fact(key: str, text: str) -> Content:
    return Content.assemble((f"{t(f'data.{key}')}  ", FAINT), text)


def number(count: int) -> str:
    return f"{count:,}"


def percent(part: int, whole: int) -> str:
    """Whole per cent; little is not nothing and nearly all is not all."""
    share = 100 * part / whole if whole else 0
    return "<1" if 0 < share < 1 else ">99" if 99 < share < 100 else str(round(share))
