"""Every job the daemon knows, newest first, refreshed while shown."""

from __future__ import annotations

import time
import uuid
from collections.abc import Awaitable, Callable
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.events import Resize
from textual.reactive import reactive
from textual.screen import Screen
from textual.widgets import DataTable, Static
from textual.widgets.data_table import RowKey

from tunesmith.daemon.api.view import (
    FINISHED,
    INTERRUPTED,
    PAUSED,
    PAUSING,
    QUEUED,
    RESTING_STATES,
    RESUMABLE_STATES,
    RUNNING,
    JobView,
)
from tunesmith.recipes.errors import TunesmithError
from tunesmith.recipes.units import duration_text
from tunesmith.tui.job_text import waiting_short
from tunesmith.tui.messages import JobStarted, OpenResult, OpenRun
from tunesmith.tui.plain import one_line, plain
from tunesmith.tui.texts import t
from tunesmith.tui.watch import Clients, JobClient
from tunesmith.tui.widgets.confirm import Confirm
from tunesmith.tui.widgets.job_head import state_text
from tunesmith.tui.widgets.key_bar import KeyBar
from tunesmith.tui.widgets.log_view import LogView

REFRESH_S = 1.0
ROWS_SHOWN = 1000
COLUMN_CELLS = {"id": 7, "name": 18, "state": 12, "progress": 24, "score": 6, "created": 11, "took": 8}
DROPPED_BELOW = {"created": 100, "score": 84, "took": 76, "name": 56}  # screen columns
BAR_CELLS = 10
STATES_OF_ACTIONS = {
    "cancel": {QUEUED, RUNNING, PAUSING, PAUSED, INTERRUPTED},
    "pause": {QUEUED, RUNNING},
    "resume": RESUMABLE_STATES,
    "retry": RESTING_STATES,
    "first": {QUEUED},
}


class JobsScreen(Screen[None]):
    """Enter opens a job's run or result; the table keeps its cursor over refreshes."""

    DEFAULT_CSS = """
    JobsScreen #jobs-title { height: 1; padding: 0 1; background: $panel; }
    JobsScreen #jobs-note { height: auto; padding: 1 2; color: $text-muted; }
    JobsScreen DataTable { height: 1fr; scrollbar-size-vertical: 1; }
    JobsScreen LogView { display: none; height: 1fr; border-top: solid $border-blurred; padding: 0 1; }
    JobsScreen LogView.-open { display: block; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "jobs.key_open"),
        Binding("c", "cancel", "jobs.key_cancel"),
        Binding("p", "pause", "jobs.key_pause"),
        Binding("r", "resume", "run.key_resume"),
        Binding("a", "retry", "run.key_retry"),
        Binding("f", "first", "jobs.key_first"),
        Binding("l", "log", "jobs.key_log"),
        Binding("slash", "find", "logs.key_find", show=False),
        Binding("space", "mark", "compare.key_mark"),
        Binding("v", "compare", "compare.key_compare"),
        Binding("escape", "close_screen", "jobs.key_leave"),
    ]

    jobs: reactive[list[JobView] | None] = reactive(None)
    error: reactive[TunesmithError | None] = reactive(None)

    def __init__(self, clients: Clients) -> None:
        super().__init__()
        self._clients = clients
        self._columns: list[str] = []
        self._composed = False
        self.marked: tuple[int, ...] = ()  # at most two, the last one marked last

    def compose(self) -> ComposeResult:
        yield Static(self._title(), id="jobs-title")
        yield Static(id="jobs-note", markup=False)
        yield DataTable(cursor_type="row", zebra_stripes=True)
        yield LogView(self._clients, id="jobs-log")
        yield KeyBar()

    def _title(self) -> Content:
        hint = t("compare.marked", marked=len(self.marked)) if self.marked else t("jobs.hint")
        return Content.assemble((t("jobs.title"), "bold"), (f"   {hint}", "$foreground 60%"))

    async def recompose(self) -> None:
        """A change of language; until the new table is there, jobs that arrive are kept only."""
        self._composed = False
        await super().recompose()
        self._begin()

    def _begin(self) -> None:
        self._composed, self._columns = True, []
        self._make_columns(self.app.size.width)
        self.query_one(DataTable).focus()
        self._note()

    def on_mount(self) -> None:
        self._begin()
        self.set_interval(REFRESH_S, self._refresh)
        self._refresh()

    def on_resize(self, event: Resize) -> None:
        self._make_columns(event.size.width)

    def _make_columns(self, width: int) -> None:
        """Those that fit, the least asked for left out first."""
        columns = [key for key in COLUMN_CELLS if width >= DROPPED_BELOW.get(key, 0)]
        if self._composed and columns != self._columns:
            self._columns = columns
            table = self.query_one(DataTable)
            table.clear(columns=True)
            for key in columns:
                table.add_column(t(f"jobs.column_{key}"), key=key, width=COLUMN_CELLS[key])
            self.watch_jobs()

    @work(group="refresh", exclusive=True)
    async def _refresh(self) -> None:
        try:
            jobs = await (await self._clients()).jobs()
        except TunesmithError as error:
            self.error = error
        else:
            self.error, self.jobs = None, jobs[:ROWS_SHOWN]

    def watch_error(self) -> None:
        self._note()

    def watch_jobs(self) -> None:
        self._note()
        if not self._composed or self.jobs is None:
            return
        table = self.query_one(DataTable)
        known = [row.value for row in table.rows]
        if known != [str(job.id) for job in self.jobs]:
            selected = self._selected()
            table.clear()
            for job in self.jobs:
                table.add_row(*self._cells(job).values(), key=str(job.id))
            if selected is not None and str(selected.id) in table.rows:
                table.move_cursor(row=table.get_row_index(str(selected.id)))
            return
        for job in self.jobs:
            for key, cell in self._cells(job).items():
                if table.get_cell(str(job.id), key) != cell:
                    table.update_cell(str(job.id), key, cell)
        self.refresh_bindings()

    def _cells(self, job: JobView) -> dict[str, Content]:
        every = cells(job, time.time(), marked=job.id in self.marked)
        return {key: every[key] for key in self._columns}

    def _note(self) -> None:
        if not self._composed:
            return
        note = self.query_one("#jobs-note", Static)
        note.display = self.error is not None or not self.jobs
        if self.error is not None:
            note.update(Content.assemble(("! ", "$warning bold"), plain(f"{self.error.message}\n{self.error.hint}")))
        else:
            note.update(t("jobs.loading") if self.jobs is None else t("jobs.none"))

    def _selected(self) -> JobView | None:
        if not self._composed or not (table := self.query_one(DataTable)).row_count:
            return None
        key: RowKey = table.coordinate_to_cell_key(table.cursor_coordinate).row_key
        return next((job for job in self.jobs or [] if str(job.id) == key.value), None)

    @on(DataTable.RowHighlighted)
    def _highlighted(self) -> None:
        selected = self._selected()
        self.query_one(LogView).job_id = selected.id if selected else None
        self.refresh_bindings()

    @on(DataTable.RowSelected)
    def _row_selected(self) -> None:
        self.action_open()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action in STATES_OF_ACTIONS and self.is_mounted:
            selected = self._selected()
            return selected is not None and selected.state in STATES_OF_ACTIONS[action]
        return True

    def action_open(self) -> None:
        if selected := self._selected():
            message = OpenResult(selected.id) if selected.state == FINISHED else OpenRun(selected.id)
            self.dismiss(None)
            self.app.post_message(message)

    @work
    async def action_cancel(self) -> None:
        selected = self._selected()
        if selected is None or not await self.app.push_screen_wait(
            Confirm(t("run.cancel_question", id=selected.id), t("run.cancel_yes"), t("run.cancel_no"))
        ):
            return
        await self._ask(lambda client: client.cancel(selected.id))

    @work
    async def action_pause(self) -> None:
        """It leaves the queue, with a checkpoint when it runs, until it is told to go on."""
        if (selected := self._selected()) is not None:
            await self._ask(lambda client: client.pause(selected.id))

    @work
    async def action_first(self) -> None:
        """It starts next."""
        if (selected := self._selected()) is not None:
            await self._ask(lambda client: client.move(selected.id))

    @work
    async def action_resume(self) -> None:
        """The job goes on from its last checkpoint, and is shown."""
        if (selected := self._selected()) is not None:
            self._show(await self._ask(lambda client: client.resume(selected.id)))

    @work
    async def action_retry(self) -> None:
        """The same recipe as a new job, which is shown."""
        if (selected := self._selected()) is not None:
            self._show(await self._ask(lambda client: client.retry(selected.id, uuid.uuid4().hex)))

    async def _ask(self, ask: Callable[[JobClient], Awaitable[JobView]]) -> JobView | None:
        """The job as it is then; None, and the reason is shown, where that was refused."""
        try:
            view = await ask(await self._clients())
        except TunesmithError as error:
            self.notify(f"{error.message}\n{error.hint}", severity="error", markup=False)
            view = None
        self._refresh()
        return view

    def _show(self, view: JobView | None) -> None:
        if view is not None:
            self.dismiss(None)
            self.app.post_message(JobStarted(view.id))

    def action_log(self) -> None:
        log = self.query_one(LogView)
        log.toggle_class("-open")
        log.read()

    def action_find(self) -> None:
        """Search the chosen job's log, which is opened for it."""
        log = self.query_one(LogView)
        log.add_class("-open")
        log.action_find()

    def action_mark(self) -> None:
        """Mark the chosen run for a comparison, or take its mark back; a third mark takes the place of the first."""
        if (selected := self._selected()) is None:
            return
        others = tuple(job_id for job_id in self.marked if job_id != selected.id)
        self.marked = others if selected.id in self.marked else (*others, selected.id)[-2:]
        self.query_one("#jobs-title", Static).update(self._title())
        self.watch_jobs()

    def action_compare(self) -> None:
        if len(self.marked) != 2:
            self.notify(t("compare.mark_two"), markup=False)
            return
        from tunesmith.tui.screens.compare import CompareScreen

        self.app.push_screen(CompareScreen(self._clients, *sorted(self.marked)))

    def action_close_screen(self) -> None:
        self.dismiss(None)


def cells(job: JobView, now: float, *, marked: bool = False) -> dict[str, Content]:
    """One row of the table, by column."""
    right, graded = job.correct("tuned")
    took = (job.ended or now) - job.started if job.started else None
    return {
        "id": Content.styled(f"◆ {job.id}", "$primary bold") if marked else Content(str(job.id)),
        "name": Content(one_line(job.name)).truncate(COLUMN_CELLS["name"], ellipsis=True),
        "state": state_text(job.state),
        "progress": _progress(job),
        "score": Content(f"{right}/{graded}" if graded else "—"),
        "created": Content(time.strftime("%m-%d %H:%M", time.localtime(job.created)) if job.created else "—"),
        "took": Content(duration_text(took) if took is not None else "—"),
    }


def _progress(job: JobView) -> Content:
    """All stages alike as a bar, and the name of the one at work; why it waits where it does."""
    if waiting := waiting_short(job):
        return Content.styled(waiting, "$secondary").truncate(COLUMN_CELLS["progress"], ellipsis=True)
    share = sum(stage.fraction for stage in job.stages) / len(job.stages)
    full = round(share * BAR_CELLS)
    running = next((stage for stage in job.stages if stage.state == "running"), None)
    name = f" {t(f'run.stage_{running.name}')} {running.fraction:.0%}" if running and not job.ended_already else ""
    style = "$success" if job.state == FINISHED else "$primary"
    return Content.assemble(("━" * full, style), ("─" * (BAR_CELLS - full), "dim"), name)
