"""The last lines of what the libraries of a job printed, read again every second while it is shown."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.content import Content
from textual.reactive import reactive
from textual.widgets import Static

from tunesmith.recipes.errors import TunesmithError
from tunesmith.tui.plain import plain
from tunesmith.tui.texts import t
from tunesmith.tui.watch import Clients
from tunesmith.tui.widgets.following import Following

LINES_READ = 500
READ_EVERY_S = 1.0


class LogView(Following):
    """Reads only while displayed; follows the end until scrolled up."""

    DEFAULT_CSS = """
    LogView { height: 1fr; }
    """

    job_id: reactive[int | None] = reactive(None)
    text: reactive[str] = reactive("")

    def __init__(self, clients: Clients, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._clients = clients

    def compose(self) -> ComposeResult:
        yield Static(self._shown(), markup=False)

    def on_mount(self) -> None:
        self.set_interval(READ_EVERY_S, self.read)

    def on_show(self) -> None:
        self.read()

    def watch_job_id(self) -> None:
        self.text = ""
        self.read()

    def read(self) -> None:
        if self.is_mounted and self.is_on_screen and self.job_id is not None:
            self.run_worker(self._read(self.job_id), group="log", exclusive=True)

    async def _read(self, job_id: int) -> None:
        try:
            self.text = plain((await (await self._clients()).log(job_id, LINES_READ)).text)
        except TunesmithError as error:
            self.text = f"{error.message}\n{error.hint}"

    def watch_text(self) -> None:
        if self.is_mounted:
            self.replace(self.query_one(Static), self._shown())

    def _shown(self) -> Content:
        return Content(self.text) if self.text.strip() else Content.styled(t("run.log_empty"), "$foreground 60%")
