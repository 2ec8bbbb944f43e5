"""Two runs side by side in words: their figures, the recipe values that differ, the answers that changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from textual.content import Content

from tunesmith.daemon.api.compare import ChangedAnswer, Comparison, Difference, Figure
from tunesmith.recipes.units import bytes_text, count_text, duration_text
from tunesmith.tui.plain import one_line, plain
from tunesmith.tui.texts import t
from tunesmith.tui.widgets.feed import verdict
from tunesmith.tui.widgets.loss_chart import number

FAINT, HEADING = "$foreground 60%", "bold $primary"
# verdict -> (symbol, style); the symbol and a word say it where there is no colour
VERDICTS = {"better": ("✓", "$success"), "worse": ("✗", "$warning"), "equal": ("=", FAINT)}
NAME_CELLS = 24
VALUE_CELLS = 14
ANSWERS_SHOWN = 100
ANSWER_CHARACTERS = 600
COLUMNS_FROM = 72  # narrower than this both answers stand under each other


def names(comparison: Comparison) -> tuple[str, str]:
    """`3 identity` of each run."""
    a, b = comparison.a, comparison.b
    return f"{a.run} {one_line(a.name)}"[:30], f"{b.run} {one_line(b.name)}"[:30]


def figure_text(key: str, value: float | None) -> str:
    if value is None:
        return "—"
    match key:
        case "peak_bytes":
            return bytes_text(value)
        case "seconds" | "training_seconds":
            return duration_text(value)
        case "tokens_per_second":
            return count_text(value)
        case "answers_right" | "answers_graded" | "steps":
            return f"{value:.0f}"
    return number(value)


def figures(found: Sequence[Figure], titles: tuple[str, str], width: int) -> list[Content]:
    """A line a measure: both values, the change, and whether that is better."""
    if not found:
        return Content.styled(t("compare.no_figures"), FAINT).wrap(width)
    name_cells = min(NAME_CELLS, max(10, width - 2 * VALUE_CELLS - 12))
    head = [_right(title, VALUE_CELLS, HEADING) for title in titles]
    lines = [Content.assemble(" " * name_cells, *head)]
    for figure in found:
        cells = [_right(figure_text(figure.key, value), VALUE_CELLS, "bold") for value in (figure.a, figure.b)]
        name = Content.styled(t(f"compare.figure_{figure.key}"), FAINT).truncate(name_cells, ellipsis=True, pad=True)
        lines.append(Content.assemble(name, *cells, "   ", _change(figure)))
    return [line.truncate(width, ellipsis=True) for line in lines]


def _change(figure: Figure) -> Content:
    said = "" if figure.change is None else f"{figure.change:+.1%}"
    if not figure.verdict:
        return Content.styled(said if figure.change else "", FAINT)
    symbol, style = VERDICTS[figure.verdict]
    return Content.styled(f"{symbol} {said} {t(f'compare.{figure.verdict}')}", style)


def differences(found: Sequence[Difference], titles: tuple[str, str], width: int) -> list[Content]:
    """Only what differs, both values; under each other where there is no room."""
    if not found:
        return Content.styled(t("compare.same_config"), FAINT).wrap(width)
    key_cells = min(max(Content(one_line(one.key)).cell_length for one in found) + 2, max(12, width // 3))
    value_cells = (width - key_cells - 2) // 2
    if value_cells < 12:
        return [line for one in found for line in _stacked(one, titles, width)]
    lines = [_columns("", *titles, key_cells, value_cells, HEADING)]
    lines += [_columns(one.key, value_text(one.a), value_text(one.b), key_cells, value_cells) for one in found]
    return lines


def value_text(value: Any) -> str:
    """A recipe value as a recipe file has it."""
    match value:
        case None:
            return "—"
        case bool():
            return str(value).lower()
        case list() | tuple():
            return ", ".join(value_text(part) for part in value) or "[]"
        case dict():
            return ", ".join(f"{key} {value_text(part)}" for key, part in value.items())
    return one_line(str(value)) or '""'


def _columns(key: str, a: str, b: str, key_cells: int, value_cells: int, style: str = "") -> Content:
    name = Content.styled(one_line(key), FAINT).truncate(key_cells - 1, ellipsis=True)
    cells = [Content.styled(text, style).truncate(value_cells, ellipsis=True) for text in (a, b)]
    first = cells[0].pad_right(value_cells + 2 - cells[0].cell_length)
    return Content.assemble(name.pad_right(key_cells - name.cell_length), first, cells[1])


def _stacked(one: Difference, titles: tuple[str, str], width: int) -> list[Content]:
    values = zip(titles, (one.a, one.b), strict=True)
    return [
        Content.styled(one_line(one.key), "bold").truncate(width, ellipsis=True),
        *(Content.assemble("  ", (f"{title}: ", FAINT), value_text(value)).truncate(width, ellipsis=True)
          for title, value in values),
    ]  # fmt: skip


def answers(comparison: Comparison, titles: tuple[str, str], width: int) -> list[Content]:
    """The answers that changed, the two beside each other or under each other."""
    if not comparison.answered_by_both:
        return Content.styled(t("compare.no_shared"), FAINT).wrap(width)
    said = t("compare.changed", changed=len(comparison.answers), both=comparison.answered_by_both)
    lines = list(Content.styled(said, FAINT).wrap(width))
    for answer in comparison.answers[:ANSWERS_SHOWN]:
        lines.append(Content.styled("─" * width, "$foreground 20%"))
        lines += Content.styled(one_line(answer.question), "bold").wrap(width)
        lines += _beside(answer, titles, width) if width >= COLUMNS_FROM else _under(answer, titles, width)
    if (more := len(comparison.answers) - ANSWERS_SHOWN) > 0:
        lines += Content.styled(t("compare.more_answers", count=more), FAINT).wrap(width)
    return lines


def _sides(answer: ChangedAnswer, titles: tuple[str, str]) -> list[tuple[Content, str]]:
    given = zip(titles, ((answer.a, answer.a_correct), (answer.b, answer.b_correct)), strict=True)
    return [
        (Content.assemble(verdict(correct), "  ", (title, FAINT)), plain(text).strip()[:ANSWER_CHARACTERS] or "—")
        for title, (text, correct) in given
    ]


def _beside(answer: ChangedAnswer, titles: tuple[str, str], width: int) -> list[Content]:
    cells = (width - 2) // 2
    blocks = [[head, *Content(text).wrap(cells)] for head, text in _sides(answer, titles)]
    height = max(map(len, blocks))
    lines = []
    for at in range(height):
        left, right = (block[at].rstrip() if at < len(block) else Content("") for block in blocks)
        left = left.truncate(cells, ellipsis=True)
        lines.append(Content.assemble(left.pad_right(cells + 2 - left.cell_length), right.truncate(cells)))
    return lines


def _under(answer: ChangedAnswer, titles: tuple[str, str], width: int) -> list[Content]:
    lines: list[Content] = []
    for head, text in _sides(answer, titles):
        lines.append(head.truncate(width, ellipsis=True))
        lines += [Content.assemble("  ", line.rstrip()) for line in Content(text).wrap(max(8, width - 2))]
    return lines


def _right(text: str, cells: int, style: str) -> Content:
    content = Content.styled(text, style).truncate(cells - 1, ellipsis=True)
    return content.pad_left(cells - content.cell_length)
