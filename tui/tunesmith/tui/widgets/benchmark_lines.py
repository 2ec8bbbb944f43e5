"""Public benchmarks as lines: the figures of each suite with their intervals, then what was measured and by what."""

from __future__ import annotations

from textual.content import Content

from tunesmith.daemon.api.view import JobView
from tunesmith.tui.benchmarks_text import rows
from tunesmith.tui.plain import one_line
from tunesmith.tui.texts import t
from tunesmith.tui.widgets.feed import subject_name

MUTED = "$foreground 60%"


def benchmark_lines(view: JobView, width: int) -> list[Content]:
    """Nothing where none was run."""
    found = list(rows(view))
    if not found:
        return []
    lines = [Content.styled(t("suites.title"), MUTED)]
    name_cells = min(max(Content(row.title).cell_length for row in found) + 2, max(8, width // 3))
    words = {"base": subject_name("base"), "tuned": subject_name("tuned"), "change": t("compare.column_change")}
    word_cells = max(Content(word).cell_length for word in words.values()) + 2
    for row in found:
        figures = {"base": row.base, "tuned": row.tuned, "change": row.change}
        name = row.title
        for key, figure in ((key, figure) for key, figure in figures.items() if figure):
            word = Content.styled(words[key], MUTED).truncate(word_cells, pad=True)
            lines.append(Content.assemble(Content(name).truncate(name_cells, pad=True), word, (figure, "bold")))
            name = ""
        about = f"{row.metric} · {row.questions} {t('suites.asked')} · {row.tool}"
        lines.append(Content.styled(" " * name_cells + about, MUTED))
        if row.refused:
            lines.append(Content.styled(" " * name_cells + t("suites.refused", count=row.refused), "$warning"))
    for path in dict.fromkeys(one.own_code for one in view.benchmarks if one.own_code):
        lines.append(Content.styled(t("suites.own_code", path=one_line(path)), MUTED))
    return [line.truncate(width) for line in lines]
