"""The figures of the running training step, a label over each value."""

from __future__ import annotations

from textual.content import Content
from textual.reactive import reactive

from tunesmith.daemon.api.events import TrainStep
from tunesmith.recipes.units import bytes_text, count_text
from tunesmith.tui.texts import t
from tunesmith.tui.widgets.computing import work_text
from tunesmith.tui.widgets.line_stack import LineStack
from tunesmith.tui.widgets.loss_chart import number

GAP = 3


class Metrics(LineStack):
    """Two lines where the width allows, else `label value` pairs, wrapped."""

    step: reactive[TrainStep | None] = reactive(None)

    def watch_step(self) -> None:
        self.changed()

    def lines(self, width: int) -> list[Content]:
        return [] if self.step is None else lines(figures(self.step), width)


def figures(step: TrainStep) -> list[tuple[str, str]]:
    """(label, value), the most asked for first; the time left stands at its stage, once."""
    return [
        (t("run.step"), f"{step.step}/{step.total_steps}"),
        (t("run.loss"), number(step.loss)),
        (t("run.tokens_per_second"), count_text(step.tokens_per_second)),
        *([(t("run.flops"), work_text(step.flops_per_second, step.limit_share))] if step.flops_per_second else []),
        (t("run.memory"), bytes_text(step.memory_bytes)),
        (t("run.padding"), f"{step.padding_share:.0%}"),
        *([] if step.token_accuracy is None else [(t("run.accuracy"), f"{step.token_accuracy:.1%}")]),
        (t("run.epoch"), f"{step.epoch:.2f}"),
        (t("run.rate"), number(step.learning_rate)),
        (t("run.gradient"), number(step.gradient_norm)),
    ]


def lines(pairs: list[tuple[str, str]], width: int) -> list[Content]:
    """As many columns as fit in two lines when that is at least six of them; else wrapped pairs."""
    labels, values = Content(""), Content("")
    shown = 0
    for label, value in pairs:
        label_text, value_text = Content.styled(label, "$foreground 60%"), Content.styled(value, "bold")
        cells = max(label_text.cell_length, value_text.cell_length)
        if labels.cell_length + cells > width:
            break
        labels += label_text.pad_right(cells - label_text.cell_length + GAP)
        values += value_text.pad_right(cells - value_text.cell_length + GAP)
        shown += 1
    if shown >= min(6, len(pairs)):
        return [labels.rstrip(), values.rstrip()]
    rows, row = [], Content("")
    for label, value in pairs:
        pair = Content.assemble((f"{label} ", "$foreground 60%"), (value, "bold"))
        if row and row.cell_length + 2 + pair.cell_length > width:
            rows.append(row)
            row = Content("")
        row = pair if not row else Content("  ").join([row, pair])
    return [line.truncate(width, ellipsis=True) for line in [*rows, row]][:3]
