"""The stages of a run as a chain: state, progress and the time left or taken of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from textual.content import Content
from textual.reactive import reactive

from tunesmith.daemon.api.view import StageView
from tunesmith.recipes.units import bytes_text, count_text, duration_text
from tunesmith.tui.plain import one_line
from tunesmith.tui.run_words import words
from tunesmith.tui.texts import t
from tunesmith.tui.widgets.line_stack import LineStack

# state -> (symbol, style); the symbol alone says the state where there is no colour
MARKS = {
    "waiting": ("○", "$foreground 60%"),
    "running": ("▶", "$primary bold"),
    "done": ("✓", "$success"),
    "failed": ("✗", "$error bold"),
    "stopped": ("■", "$warning"),
}
NAME_CELLS = 10
BAR_CELLS_MIN = 6
DETAIL_CELLS = 30
BAR_REST = "$foreground 20%"
UNITS = ("rows", "steps", "tokens", "files", "requests")


class StageChain(LineStack):
    """One line a stage; with `compact` one line for all and one for the running stage.

    `expected` are the seconds that stages to come will take, as forecast.
    """

    stages: reactive[Sequence[StageView]] = reactive(())
    compact: reactive[bool] = reactive(False)
    expected: reactive[Mapping[str, float]] = reactive(dict)

    def watch_stages(self) -> None:
        self.changed()

    def watch_compact(self) -> None:
        self.changed()

    def lines(self, width: int) -> list[Content]:
        if self.compact:
            return _compact(self.stages, width)
        return [_line(stage, width, self.expected.get(stage.name)) for stage in self.stages]


def _name(stage: StageView) -> str:
    return t(f"run.stage_{stage.name}")


def _line(stage: StageView, width: int, expected: float | None = None) -> Content:
    symbol, style = MARKS[stage.state]
    name_style = "bold" if stage.state == "running" else "$foreground 60%" if stage.state == "waiting" else ""
    name = Content.styled(_name(stage), name_style)
    head = Content.assemble((f"{symbol} ", style), name, " " * max(1, NAME_CELLS - name.cell_length))
    said = details(stage, expected)
    detail_cells = min(DETAIL_CELLS, max(0, width // 2 - 4))
    bar_cells = min(40, width - head.cell_length - detail_cells - 8)
    if bar_cells < BAR_CELLS_MIN:
        percent = f"{stage.fraction:4.0%} " if stage.state == "running" and stage.total else ""
        return Content.assemble(head, (percent, "bold"), (said, "$foreground 60%")).truncate(width, ellipsis=True)
    percent = f" {stage.fraction:4.0%}  " if stage.state == "running" and stage.total else " " * 7
    line = Content.assemble(head, _bar(stage, bar_cells), (percent, "bold"), (said, "$foreground 60%"))
    return line.truncate(width, ellipsis=True)


def _bar(stage: StageView, cells: int) -> Content:
    style = MARKS[stage.state][1]
    halves = round(stage.fraction * cells * 2)
    full, half = divmod(halves, 2)
    filled = "━" * full + ("╸" if half else "")
    return Content.assemble((filled, style), ("─" * (cells - len(filled)), BAR_REST))


def details(stage: StageView, expected: float | None = None) -> str:
    """`45/72 steps · 1:12 left`, or what the stage took, or will take."""
    match stage.state:
        case "waiting" if expected is not None:
            return t("live.about", time=duration_text(expected))
        case "done":
            return duration_text(stage.seconds or 0)
        case "failed" | "stopped":
            return t(f"run.stage_state_{stage.state}")
        case "running":
            parts = []
            if stage.eta_s is not None:
                parts.append(t("run.left", time=duration_text(stage.eta_s)))
            if stage.total:
                parts.append(_amount(stage))
            if stage.note:
                parts.append(one_line(words(stage.note, stage.note_said)))
            return " · ".join(parts) or t("run.stage_state_running")
    return ""


def _amount(stage: StageView) -> str:
    if stage.unit == "bytes":
        return f"{bytes_text(stage.done)} / {bytes_text(stage.total)}"
    unit = t(f"run.unit_{stage.unit}") if stage.unit in UNITS else stage.unit
    return f"{count_text(stage.done)}/{count_text(stage.total)} {one_line(unit)}"


def _compact(stages: Sequence[StageView], width: int) -> list[Content]:
    marks = [Content.assemble((f"{MARKS[s.state][0]} ", MARKS[s.state][1]), _name(s)) for s in stages]
    chain = Content.styled(" ─ ", BAR_REST).join(marks)
    if chain.cell_length > width:
        chain = Content.styled("─", BAR_REST).join(
            Content.assemble((MARKS[s.state][0], MARKS[s.state][1])) for s in stages
        )
    current = next((s for s in stages if s.state in ("running", "failed", "stopped")), None)
    lines = [chain.truncate(width, ellipsis=True)]
    return lines if current is None else [*lines, _line(current, width)]
