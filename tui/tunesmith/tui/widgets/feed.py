"""What a run says as it goes: answers of the models and notices, newest last."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.content import Content
from textual.reactive import reactive
from textual.widgets import Static

from tunesmith.daemon.api.events import Answered, DataChecked, Notice, Sampled
from tunesmith.daemon.api.view import JobView
from tunesmith.recipes.units import count_text
from tunesmith.tui.plain import one_line, plain
from tunesmith.tui.run_words import notice_text
from tunesmith.tui.texts import t
from tunesmith.tui.widgets.following import Following

ITEMS_SHOWN = 100
NOTICE_MARKS = {"info": ("i", "$secondary"), "warning": ("!", "$warning bold"), "error": ("✗", "$error bold")}


def verdict(correct: bool | None) -> Content:
    """Right or wrong as symbol and word; colour only repeats it."""
    if correct is None:
        return Content.styled(f"· {t('run.ungraded')}", "$foreground 60%")
    return (
        Content.styled(f"✓ {t('run.right')}", "$success")
        if correct
        else Content.styled(f"✗ {t('run.wrong')}", "$error")
    )


def subject_name(subject: str) -> str:
    return t(f"run.subject_{subject}") if subject in ("base", "tuned", "gguf") else one_line(subject)


class Feed(Following):
    """Follows the newest item until scrolled up."""

    DEFAULT_CSS = """
    Feed { height: 1fr; min-height: 3; }
    """

    view: reactive[JobView | None] = reactive(None)

    def compose(self) -> ComposeResult:
        yield Static(self._text(), markup=False)

    def _text(self) -> Content:
        return Content("\n").join(items(self.view)) if self.view else Content("")

    def watch_view(self, old: JobView | None, new: JobView | None) -> None:
        said = [(v.data, v.notices, v.answers, v.samples) if v else None for v in (old, new)]
        if said[0] != said[1] and self.is_mounted:
            self.query_one(Static).update(self._text())


def items(view: JobView) -> list[Content]:
    """The last of everything said, in the order of time."""
    every: list[DataChecked | Notice | Answered | Sampled] = [
        *view.data, *view.notices, *view.answers, *view.samples
    ]  # fmt: skip
    said = sorted(every, key=lambda event: event.time)
    if not said:
        return [Content.styled(t("run.feed_empty"), "$foreground 60%")]
    return [item(event) for event in said[-ITEMS_SHOWN:]]


def item(event: DataChecked | Notice | Answered | Sampled) -> Content:
    match event:
        case DataChecked():
            text = t(
                "run.data_checked", file=one_line(event.file), kept=event.rows_kept, read=event.rows_read,
                rejected=event.rows_rejected, trained=count_text(event.trained_tokens), tokens=count_text(event.tokens),
            )  # fmt: skip
            return Content.assemble(("≡ ", "$secondary"), text)
        case Notice():
            symbol, style = NOTICE_MARKS.get(event.level, NOTICE_MARKS["info"])
            return Content.assemble((f"{symbol} ", style), plain(notice_text(event)))
        case Answered():
            return Content.assemble(
                verdict(event.correct), "  ", (subject_name(event.subject), "bold"), "  ",
                (one_line(event.question), "$foreground 60%"), "\n  ", one_line(event.answer),
            )  # fmt: skip
        case Sampled():
            cut = "" if event.stopped else " …"
            return Content.assemble(
                verdict(event.correct), "  ", (t("live.sampled", step=event.step), "bold"), "  ",
                (one_line(event.question), "$foreground 60%"), "\n  ", f"{one_line(event.answer) or '—'}{cut}",
            )  # fmt: skip
