"""Held-out answers side by side: the base model, the tuned one, and its GGUF."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from textual.content import Content
from textual.geometry import Size
from textual.reactive import reactive
from textual.widget import Widget

from tunesmith.daemon.api.events import Answered
from tunesmith.tui.plain import plain
from tunesmith.tui.texts import t
from tunesmith.tui.widgets.feed import subject_name, verdict

COLUMNS_FROM = 72  # narrower than this the answers of a question stand under each other
ROWS_SHOWN = 200
ANSWER_CHARACTERS = 600  # an answer that runs away does not fill the screen
GAP = 2
SUBJECTS = ("base", "tuned", "gguf")


class AnswerTable(Widget):
    """One row a question of `set_name`."""

    DEFAULT_CSS = """
    AnswerTable { height: auto; }
    """

    answers: reactive[Sequence[Answered]] = reactive((), layout=True)
    set_name: reactive[str] = reactive("held_out", layout=True)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(self._lines(width))

    def render(self) -> Content:
        return Content("\n").join(self._lines(self.content_size.width))

    def _lines(self, width: int) -> list[Content]:
        return table([a for a in self.answers if a.set_name == self.set_name], width)


def table(answers: Sequence[Answered], width: int) -> list[Content]:
    """The lines of the table at `width` cells."""
    rows: dict[int, dict[str, Answered]] = {}
    for answer in answers:
        rows.setdefault(answer.row, {})[answer.subject] = answer
    present = {answer.subject for answer in answers}
    subjects = [s for s in SUBJECTS if s in present] + sorted(present.difference(SUBJECTS))
    if not rows or width < 10:
        return [Content.styled(t("result.no_answers"), "$foreground 60%")]
    draw = _columns if width >= COLUMNS_FROM and len(subjects) > 1 else _stacked
    lines = draw([rows[row] for row in sorted(rows)][:ROWS_SHOWN], subjects, width)
    if len(rows) > ROWS_SHOWN:
        lines.append(Content.styled(t("result.more_rows", count=len(rows) - ROWS_SHOWN), "$foreground 60%"))
    return lines


def _columns(rows: Sequence[dict[str, Answered]], subjects: Sequence[str], width: int) -> list[Content]:
    question_cells = max(16, width // 5)
    answer_cells = (width - question_cells - GAP * len(subjects)) // len(subjects)
    cells = [question_cells, *[answer_cells] * len(subjects)]
    titles = [t("result.question"), *map(subject_name, subjects)]
    lines = [_join([[Content.styled(title, "bold $primary")] for title in titles], cells)[0]]
    for answers in rows:
        lines.append(Content.styled("─" * width, "$foreground 20%"))
        first = next(iter(answers.values()))
        blocks = [_question(first, question_cells)]
        blocks += [_answer(answers[s], answer_cells) if s in answers else [] for s in subjects]
        lines += _join(blocks, cells)
    return lines


def _question(answer: Answered, cells: int) -> list[Content]:
    lines = Content.styled(_short(answer.question), "bold").wrap(cells)
    if answer.expected:
        lines += Content.styled(t("result.expected", answer=_short(answer.expected)), "$foreground 60%").wrap(cells)
    return lines


def _answer(answer: Answered, cells: int) -> list[Content]:
    return [verdict(answer.correct), *Content(_short(answer.answer) or "—").wrap(cells)]


def _join(blocks: Sequence[Sequence[Content]], cells: Sequence[int]) -> list[Content]:
    lines = []
    for parts in zip_longest(*blocks, fillvalue=Content("")):
        line = Content("")
        for part, count in zip(parts, cells, strict=True):
            line += part.rstrip().truncate(count, pad=True).pad_right(GAP)
        lines.append(line.rstrip())
    return lines


def _stacked(rows: Sequence[dict[str, Answered]], subjects: Sequence[str], width: int) -> list[Content]:
    lines: list[Content] = []
    for answers in rows:
        if lines:
            lines.append(Content.styled("─" * width, "$foreground 20%"))
        lines += _question(next(iter(answers.values())), width)
        for subject in subjects:
            if subject in answers:
                answer = answers[subject]
                lines.append(Content.assemble("  ", verdict(answer.correct), "  ", (subject_name(subject), "bold")))
                wrapped = Content(_short(answer.answer) or "—").wrap(max(8, width - 4))
                lines += [Content.assemble("    ", line.rstrip()) for line in wrapped]
    return lines


def _short(text: str) -> str:
    text = plain(text).strip()
    return text if len(text) <= ANSWER_CHARACTERS else f"{text[:ANSWER_CHARACTERS]}…"
