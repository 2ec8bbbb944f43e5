"""Before and after in figures: right answers as bars, losses and perplexities as a small table, scores, benchmarks."""

from __future__ import annotations

from textual.content import Content
from textual.geometry import Size
from textual.reactive import reactive
from textual.widget import Widget

from tunesmith.daemon.api.view import JobView
from tunesmith.tui.plain import one_line
from tunesmith.tui.run_words import notice_text
from tunesmith.tui.scores_text import figure, label, verdict
from tunesmith.tui.scores_text import number as number_of
from tunesmith.tui.texts import t
from tunesmith.tui.widgets.benchmark_lines import benchmark_lines
from tunesmith.tui.widgets.feed import subject_name
from tunesmith.tui.widgets.loss_chart import number

SUBJECT_STYLES = {"base": "$secondary", "tuned": "$primary", "gguf": "$success"}
VERDICTS = {"better": ("$success", "▲"), "worse": ("$warning", "▼"), "unclear": ("$foreground 60%", "·")}
NAME_CELLS = 14
VALUE_CELLS = 12
GATE = "gate_held"  # what the notice about it is called
SCORE_CELLS = 16  # "0.100 → 0.850"


class ScoreSummary(Widget):
    """Of a JobView; what was not measured is left out."""

    DEFAULT_CSS = """
    ScoreSummary { height: auto; }
    """

    view: reactive[JobView | None] = reactive(None, layout=True)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(self._lines(width))

    def render(self) -> Content:
        return Content("\n").join(self._lines(self.content_size.width))

    def _lines(self, width: int) -> list[Content]:
        if self.view is None:
            return []
        groups = (_bars(self.view, width), _figures(self.view, width), measured(self.view, width),
                  benchmark_lines(self.view, width), held(self.view, width))  # fmt: skip
        found = [group for group in groups if group]
        if not found:
            return [Content.styled(t("result.no_scores"), "$foreground 60%")]
        return [*found[0], *(line for group in found[1:] for line in (Content(""), *group))]


def _bars(view: JobView, width: int) -> list[Content]:
    lines = []
    for subject, style in SUBJECT_STYLES.items():
        right, graded = view.correct(subject)
        if graded:
            cells = max(4, min(40, width - NAME_CELLS - 18))
            full = round(right / graded * cells)
            bar = Content.assemble(("━" * full, style), ("─" * (cells - full), "$foreground 20%"))
            score = Content.assemble((f"{right}/{graded}", "bold"), (f" {t('run.right')}", "$foreground 60%"))
            lines.append(Content.assemble(_padded(subject_name(subject), NAME_CELLS), bar, "  ", score))
    return lines


def _figures(view: JobView, width: int) -> list[Content]:
    scores = {score.subject: score for score in view.scores}
    if not scores:
        return []
    rows = [
        (t("result.held_out_loss"), [s.held_out_loss for s in scores.values()]),
        (t("result.held_out_perplexity"), [s.held_out_perplexity for s in scores.values()]),
        (t("result.general_perplexity"), [s.general_perplexity for s in scores.values()]),
    ]
    name_cells = min(max(Content(name).cell_length for name, _ in rows) + 2, max(8, width - VALUE_CELLS * len(scores)))
    lines = [Content.assemble(" " * name_cells, *(
        _padded_left(subject_name(subject), VALUE_CELLS, "$foreground 60%") for subject in scores
    ))]  # fmt: skip
    for name, values in rows:
        if any(value is not None for value in values):
            cells = [_padded_left("—" if v is None else number(v), VALUE_CELLS, "bold") for v in values]
            known = [v for v in values if v is not None]
            lines.append(Content.assemble(_padded(name, name_cells), *cells, _change(known)))
    return [line.truncate(width) for line in lines]


def measured(view: JobView, width: int) -> list[Content]:
    """Of each score what it was and is, in words whether the change is clear, and its interval."""
    if not view.measured:
        return []
    lines = [Content.styled(t("scores.title"), "$foreground 60%")]
    name_cells = min(max(Content(label(one)).cell_length for one in view.measured) + 2, max(8, width // 3))
    words = {told: f"{mark} {t(f'scores.{told}')}" for told, (_, mark) in VERDICTS.items()}
    word_cells = max(Content(word).cell_length for word in words.values())
    for one in view.measured:
        told = verdict(one)
        values = f"{number_of(one.before.value, one.top)} → {number_of(one.after.value, one.top)}"
        word = Content.styled(words[told], VERDICTS[told][0]).truncate(word_cells, pad=True)
        line = Content.assemble(_padded(label(one), name_cells), _padded(values, SCORE_CELLS), word)
        interval = Content.styled(f"  {figure(one.change, one.top, '+')}", "$foreground 60%")
        lines += [line + interval] if line.cell_length + interval.cell_length <= width else [line, interval]
    for path in dict.fromkeys(one.own_code for one in view.measured if one.own_code):
        lines.append(Content.styled(t("scores.own_code", path=one_line(path)), "$foreground 60%"))
    return [line.truncate(width) for line in lines]


def held(view: JobView, width: int) -> list[Content]:
    """The gate that held."""
    told = [one_line(notice_text(notice)) for notice in view.notices if notice.code == GATE]
    return [Content.assemble(("✓ ", "$success"), text).truncate(width) for text in told]


def _change(values: list[float]) -> Content:
    """The change from the first to the last in percent; every figure here is better when lower."""
    if len(values) < 2 or not values[0]:
        return Content("")
    change = values[-1] / values[0] - 1
    style = "$success" if change <= 0 else "$warning"
    return Content.styled(f"   {'▼' if change <= 0 else '▲'} {abs(change):.1%}", style)


def _padded(text: str, cells: int) -> Content:
    return Content(text).truncate(cells, pad=True)


def _padded_left(text: str, cells: int, style: str) -> Content:
    content = Content.styled(text, style)
    return content.pad_left(max(0, cells - content.cell_length))
