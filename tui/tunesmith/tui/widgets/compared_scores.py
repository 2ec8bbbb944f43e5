"""The scores of two runs side by side in words: what each came to, and the change with its interval."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content

from tunesmith.daemon.api.compared_scores import CORRECT, ScoreChange
from tunesmith.recipes.intervals import Interval
from tunesmith.tui.plain import one_line
from tunesmith.tui.scores_text import figure, number
from tunesmith.tui.texts import t
from tunesmith.tui.widgets.score_summary import VERDICTS

FAINT, HEADING = "$foreground 60%", "bold $primary"
NAME_CELLS = 20
VALUE_CELLS = 10  # "85.0"
INTERVAL_CELLS = 25  # "0.850 [0.640 … 0.948]"


def name_of(score: ScoreChange) -> str:
    """`chrf`; of a score with something after its name what the recipe says."""
    if score.score == CORRECT:
        return t("compare.figure_answers_right")
    ours = score.score if not score.own_code and score.score != score.name else ""
    return one_line(f"{score.name} ({ours})" if ours else score.name)


def value_text(interval: Interval | None, top: float) -> str:
    return "—" if interval is None else number(interval.value, top)


def interval_text(interval: Interval | None, top: float, sign: str = "") -> str:
    return "—" if interval is None else figure(interval, top, sign)


def how(found: Sequence[ScoreChange]) -> str:
    """Whether the changes are of the same questions; empty where there is none."""
    changes = [one.paired for one in found if one.change is not None]
    if not changes:
        return ""
    return t("compare.scores_paired" if all(changes) else "compare.scores_apart")


def lines(found: Sequence[ScoreChange], titles: tuple[str, str], width: int) -> list[Content]:
    """A line a score: both values, where there is room with their intervals, and the change with its own.

    On a narrow screen the change has a line to itself.
    """
    if not found:
        return Content.styled(t("compare.no_scores"), FAINT).wrap(width)
    words = {told: f"{mark} {t(f'scores.{told}')}" for told, (_, mark) in VERDICTS.items()}
    change_cells = max(len(interval_text(one.change, one.top, "+")) for one in found)
    rest_cells = change_cells + 2 + max(Content(word).cell_length for word in words.values())
    name_cells = min(NAME_CELLS, max(8, width - 2 * VALUE_CELLS))
    whole = width >= name_cells + 2 * INTERVAL_CELLS + rest_cells
    cells = INTERVAL_CELLS if whole else VALUE_CELLS
    text_of = interval_text if whole else value_text
    beside = width >= name_cells + 2 * cells + rest_cells
    last = [(t("compare.column_change"), HEADING)] if beside else []
    made = [Content.assemble(" " * name_cells, *(_cell(title, cells, HEADING) for title in titles), *last)]
    for one in found:
        name = Content.styled(name_of(one), FAINT).truncate(name_cells - 1, ellipsis=True)
        values = [_cell(text_of(side, one.top), cells, "bold") for side in (one.a, one.b)]
        line = Content.assemble(name.pad_right(name_cells - name.cell_length), *values)
        change = _change(one, words, change_cells)
        if beside or one.change is None:
            made.append(Content.assemble(line, change) if one.change is not None else line)
        else:
            made += [line, Content.assemble("  ", change)]
    note = Content.styled(how(found), FAINT).wrap(width) if how(found) else []
    return [*(line.truncate(width, ellipsis=True) for line in made), *note]


def _change(one: ScoreChange, words: dict[str, str], cells: int) -> Content:
    if one.change is None:
        return Content("")
    said = interval_text(one.change, one.top, "+")
    return Content.assemble(said.ljust(cells + 2), (words[one.verdict], VERDICTS[one.verdict][0]))


def _cell(text: str, cells: int, style: str) -> Content:
    content = Content.styled(text, style).truncate(cells - 1, ellipsis=True)
    return content.pad_right(cells - content.cell_length)
