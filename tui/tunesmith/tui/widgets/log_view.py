"""What the libraries of a job printed last, read again every second while it is shown; it can be searched."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import ClassVar, Self

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.reactive import reactive
from textual.widgets import Input, Static

from tunesmith.recipes.errors import TunesmithError
from tunesmith.tui.explained import sentences
from tunesmith.tui.plain import plain
from tunesmith.tui.texts import t
from tunesmith.tui.watch import Clients
from tunesmith.tui.widgets.following import Following

LINES_READ = 500
LINES_SEARCHED = 2000  # read once more when a search begins; also as many as are kept
READ_EVERY_S = 1.0
SEAM_LINES = 20  # of what was read before, looked for in what is read now
FOUND, CHOSEN = "underline", "reverse bold"
MATCHES_SHOWN = 1000


class LogView(Vertical):
    """Reads only while displayed; follows the end until scrolled up or searched."""

    DEFAULT_CSS = """
    LogView { height: 1fr; }
    LogView #log-lines { height: 1fr; }
    LogView #log-search { display: none; height: 1; }
    LogView.-searching #log-search { display: block; }
    LogView #log-search Input { width: 1fr; height: 1; border: none; background: $panel; padding: 0 1; }
    LogView #log-search Input:focus { background: $panel-lighten-2; }
    LogView #log-count { width: auto; padding: 0 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "find", "logs.key_find"),
        Binding("n", "next(1)", "logs.key_next"),
        Binding("N", "next(-1)", "logs.key_previous"),
        Binding("escape", "close_search", "logs.key_close", show=False),
    ]

    job_id: reactive[int | None] = reactive(None)
    text: reactive[str] = reactive("")
    wanted: reactive[str] = reactive("")
    chosen: reactive[int] = reactive(0)

    def __init__(self, clients: Clients, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._clients = clients
        self.matches: list[tuple[int, int]] = []
        self._read_far = False  # as far back as is searched

    def compose(self) -> ComposeResult:
        with Following(id="log-lines"):
            yield Static(self._shown(), markup=False)
        with Horizontal(id="log-search"):
            yield Input(self.wanted, placeholder=t("logs.find"), id="log-wanted")
            yield Static(id="log-count", markup=False)

    @property
    def lines(self) -> Following:
        return self.query_one("#log-lines", Following)

    def focus(self, scroll_visible: bool = True) -> Self:
        self.lines.focus(scroll_visible)
        return self

    def on_mount(self) -> None:
        self.set_interval(READ_EVERY_S, self.read)

    def on_show(self) -> None:
        self.read()

    def watch_job_id(self) -> None:
        self.text, self._read_far = "", False
        self.read()

    @property
    def searching(self) -> bool:
        return self.has_class("-searching")

    def read(self) -> None:
        if self.is_mounted and self.is_on_screen and self.job_id is not None:
            lines = LINES_SEARCHED if self.searching and not self._read_far else LINES_READ
            self.run_worker(self._read(self.job_id, lines), group="log", exclusive=True)

    async def _read(self, job_id: int, lines: int) -> None:
        try:
            said = plain((await (await self._clients()).log(job_id, lines)).text).rstrip("\n")
        except TunesmithError as error:
            self.text = sentences(error)
        else:
            self.text = said if lines > LINES_READ else joined(self.text, said)
            self._read_far = self._read_far or lines > LINES_READ

    def watch_text(self) -> None:
        self._search(stay=True)

    def watch_wanted(self) -> None:
        self._search(stay=False)

    def watch_chosen(self) -> None:
        self._draw()

    def _search(self, *, stay: bool) -> None:
        """Find all matches anew; the newest is chosen, or with `stay` the one that was."""
        found = re.finditer(re.escape(self.wanted), self.text, re.IGNORECASE) if self.wanted else ()
        self.matches = [match.span() for match, _ in zip(found, range(MATCHES_SHOWN), strict=False)]
        last = max(0, len(self.matches) - 1)
        self.set_reactive(LogView.chosen, min(self.chosen, last) if stay else last)
        self._draw()
        if self.wanted and not stay:
            self._go()
        self.refresh_bindings()

    def _draw(self) -> None:
        if not self.is_mounted or not self.query("#log-lines"):
            return
        if self.wanted:  # what was found stays in view
            self.lines.at_end = False
        self.lines.query_one(Static).update(self._shown())
        count = self.query_one("#log-count", Static)
        if not self.wanted:
            count.update("")
        elif self.matches:
            count.update(Content(t("logs.matches", at=self.chosen + 1, count=len(self.matches))))
        else:
            count.update(Content.styled(t("logs.no_match"), "$warning"))

    def _shown(self) -> Content:
        if not self.text.strip():
            return Content.styled(t("run.log_empty"), "$foreground 60%")
        return highlighted(self.text, self.matches, self.chosen)

    def _go(self) -> None:
        """Bring the chosen match into view."""
        if self.matches:
            width = max(1, self.lines.scrollable_content_region.width)
            y = wrapped_line(self.text, self.matches[self.chosen][0], width)
            self.lines.scroll_to(y=max(0, y - self.lines.size.height // 2), animate=False)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "next":
            return bool(self.matches) and not self._typing
        if action == "close_search":
            return self.searching
        return True

    @property
    def _typing(self) -> bool:
        return bool(self.query("#log-wanted")) and self.query_one("#log-wanted").has_focus

    def action_find(self) -> None:
        """Open the line to type in; more of the log is read for it."""
        self.add_class("-searching")
        self.query_one("#log-wanted", Input).focus()
        self.read()

    @on(Input.Changed, "#log-wanted")
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        self.wanted = event.value

    @on(Input.Submitted, "#log-wanted")
    def _submitted(self, event: Input.Submitted) -> None:
        """The keys go to the log again, where n and shift+n walk through what was found."""
        event.stop()
        self.focus()
        self._go()
        self.refresh_bindings()

    def action_next(self, by: int) -> None:
        """To the next match below, or above; round at the ends."""
        if self.matches:
            self.chosen = (self.chosen + by) % len(self.matches)
            self._go()

    def action_close_search(self) -> None:
        self.remove_class("-searching")
        self.query_one("#log-wanted", Input).value = self.wanted = ""
        self.focus()
        self.lines.scroll_end(animate=False)


def joined(before: str, now: str) -> str:
    """`before` with the lines that came since, so that what is looked at stays where it is.

    The last line may have been half written, or written over, so it is taken anew. Where the two do not meet, `now`.
    """
    old, new = before.splitlines(), now.splitlines()
    seam = old[-SEAM_LINES - 1 : -1]
    if not seam:
        return now
    for at in range(len(new) - len(seam), -1, -1):
        if new[at : at + len(seam)] == seam:
            return "\n".join([*old[:-1], *new[at + len(seam) :]][-LINES_SEARCHED:])
    return now


def highlighted(text: str, matches: Sequence[tuple[int, int]], chosen: int) -> Content:
    """`text` with every match underlined and the chosen one reversed."""
    parts: list[str | tuple[str, str]] = []
    end = 0
    for number, (start, stop) in enumerate(matches):
        parts += [text[end:start], (text[start:stop], CHOSEN if number == chosen else FOUND)]
        end = stop
    return Content.assemble(*parts, text[end:])


def wrapped_line(text: str, place: int, width: int) -> int:
    """On which line, of text wrapped at `width` cells, the character at `place` is."""
    *above, own = text[:place].split("\n")
    rows = sum(_rows(line, width) for line in above)
    return rows + max(0, _rows(own, width) - 1)


def _rows(line: str, width: int) -> int:
    if len(line) * 2 <= width:  # no character is wider than two cells
        return 1
    return max(1, len(Content(line).wrap(width)))
