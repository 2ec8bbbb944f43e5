"""Every job the daemon knows, newest first, refreshed while shown; a line each, of which only the changed ones come."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.reactive import reactive
from textual.screen import Screen
from textual.widgets import Static

from tunesmith.daemon.api.listing import JobLine
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
from tunesmith.tui.explained import sentences
from tunesmith.tui.job_text import waiting_short
from tunesmith.tui.messages import JobStarted, OpenResult, OpenRun
from tunesmith.tui.plain import one_line, plain
from tunesmith.tui.screens.composed import composed
from tunesmith.tui.texts import t
from tunesmith.tui.watch import Clients, JobClient
from tunesmith.tui.widgets.confirm import Confirm
from tunesmith.tui.widgets.job_head import state_text
from tunesmith.tui.widgets.key_bar import KeyBar
from tunesmith.tui.widgets.log_view import LogView
from tunesmith.tui.widgets.row_filter import RowFilter
from tunesmith.tui.widgets.row_table import Column, RowTable

REFRESH_S = 1.0
REFUSAL_S = 15.0  # it stays while marks are changed
HOUR_S = 3600
LONG_S = 99.5 * HOUR_S  # from here on in days and hours: the column has eight cells
NAME_CELLS = 18
BAR_CELLS = 10
STATES_OF_ACTIONS = {
    "cancel": {QUEUED, RUNNING, PAUSING, PAUSED, INTERRUPTED},
    "pause": {QUEUED, RUNNING},
    "resume": RESUMABLE_STATES,
    "retry": RESTING_STATES,
    "first": {QUEUED},
}


class JobsScreen(Screen[None]):
    """Enter opens a job's run or result; the cursor stays on its job over refreshes."""

    DEFAULT_CSS = """
    JobsScreen #jobs-title { height: 1; padding: 0 1; background: $panel; }
    JobsScreen #jobs-note { height: auto; padding: 1 2; color: $text-muted; }
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
        Binding("space", "mark", "compare.key_mark"),
        Binding("v", "compare", "compare.key_compare"),
        Binding("w", "merge", "merge.key"),
        Binding("l", "log", "jobs.key_log"),
        Binding("escape", "close_screen", "jobs.key_leave"),
        Binding("slash", "filter", "table.key_filter"),
    ]

    error: reactive[TunesmithError | None] = reactive(None)

    def __init__(self, clients: Clients) -> None:
        super().__init__()
        self._clients = clients
        self._after = ""
        self._known: dict[int, JobLine] | None = None
        self.jobs: tuple[JobLine, ...] = ()  # newest first, all of them
        self.typed = ""
        self.marked: tuple[int, ...] = ()  # the last one marked last

    def compose(self) -> ComposeResult:
        yield Static(id="jobs-title", markup=False)
        yield RowFilter(self.typed)
        yield Static(id="jobs-note", markup=False)
        table: RowTable[JobLine] = RowTable(
            columns(lambda job_id: job_id in self.marked), lambda job: job.id, id="jobs"
        )
        yield table
        yield LogView(self._clients, id="jobs-log")
        yield KeyBar()

    def _title(self, shown: int) -> Content:
        hint = t("jobs.hint")
        if self.marked:
            hint = t("compare.marked", marked=len(self.marked))
        elif self.typed:
            hint = t("table.shown", shown=shown, count=len(self.jobs))
        return Content.assemble((t("jobs.title"), "bold"), (f"   {hint}", "$foreground 60%"))

    async def recompose(self) -> None:
        """A change of language; until the new table is there, jobs that arrive are kept only."""
        await super().recompose()
        self._begin()

    def _begin(self) -> None:
        self._draw()
        self.query_one(RowTable).focus()

    def on_mount(self) -> None:
        self._begin()
        self.set_interval(REFRESH_S, self._refresh)
        self._refresh()

    @work(group="refresh", exclusive=True)
    async def _refresh(self) -> None:
        try:
            found = await (await self._clients()).lines(self._after)
        except TunesmithError as error:
            self.error = error
            return
        self.error, self._after = None, found.after
        before = {} if found.whole or self._known is None else self._known
        for job_id in found.removed:
            before.pop(job_id, None)
        before |= {line.id: line for line in found.lines}
        changed = found.whole or self._known is None or bool(found.lines or found.removed)
        self._known, self.marked = before, tuple(job_id for job_id in self.marked if job_id in before)
        if changed:
            self.jobs = tuple(sorted(before.values(), key=lambda line: line.id, reverse=True))
            self._draw()
        else:
            self.query("#jobs").refresh()  # how long what runs has taken

    def watch_error(self) -> None:
        self._note()

    def _draw(self) -> None:
        """What there is and matches what is typed."""
        if not composed(self, "#jobs", "#jobs-title", "#jobs-note"):
            return
        table = self.query_one("#jobs", RowTable)
        table.show(matching(self.jobs, self.typed))
        self.query_one("#jobs-title", Static).update(self._title(len(table.rows)))
        self._note()
        self.refresh_bindings()

    def _note(self) -> None:
        if not composed(self, "#jobs", "#jobs-title", "#jobs-note"):
            return
        note, table = self.query_one("#jobs-note", Static), self.query_one("#jobs", RowTable)
        note.display = self.error is not None or not table.rows
        if self.error is not None:
            note.update(Content.assemble(("! ", "$warning bold"), plain(sentences(self.error))))
        elif self._known is None:
            note.update(t("jobs.loading"))
        else:
            note.update(t("table.no_match") if self.jobs else t("jobs.none"))

    def _selected(self) -> JobLine | None:
        found = self.query("#jobs")
        return found.first(RowTable).chosen if found else None

    @on(RowFilter.Typed)
    def _filtered(self, event: RowFilter.Typed) -> None:
        self.typed = event.text
        self._draw()
        self.query_one("#jobs", RowTable).action_first()

    @on(RowFilter.Left)
    def _to_rows(self) -> None:
        self.query_one(RowTable).focus()

    def action_filter(self) -> None:
        """Type what is looked for: in the log where that is open, else in the rows."""
        log = self.query_one(LogView)
        if log.has_class("-open"):
            log.action_find()
        else:
            self.query_one(RowFilter).open()

    @on(RowTable.Highlighted)
    def _highlighted(self) -> None:
        selected = self._selected()
        for log in self.query(LogView):  # none while it is composed in another language
            log.job_id = selected.id if selected else None
        self.refresh_bindings()

    @on(RowTable.Selected)
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
            self.notify(sentences(error), severity="error", markup=False)
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

    def action_mark(self) -> None:
        """Mark the chosen run for a comparison or a merge, or take its mark back."""
        if (selected := self._selected()) is None:
            return
        others = tuple(job_id for job_id in self.marked if job_id != selected.id)
        self.marked = others if selected.id in self.marked else (*others, selected.id)
        self._draw()
        self.query("#jobs").refresh()

    def action_compare(self) -> None:
        if len(self.marked) != 2:
            self.notify(t("compare.mark_two"), markup=False)
            return
        from tunesmith.tui.screens.compare import CompareScreen

        self.app.push_screen(CompareScreen(self._clients, *sorted(self.marked)))

    @work(group="merge", exclusive=True)
    async def action_merge(self) -> None:
        """The marked runs with their weights in a window; the job that comes of it is shown."""
        from tunesmith.tui import merging
        from tunesmith.tui.screens.merge import MergeScreen

        try:
            client = await self._clients()
            runs = [await client.job(job_id) for job_id in self.marked]
            found = await asyncio.to_thread(merging.look, runs)
        except TunesmithError as error:
            self.notify(sentences(error), severity="error", markup=False, timeout=REFUSAL_S)
            return
        self._show(await self.app.push_screen_wait(MergeScreen(self._clients, found)))

    def action_close_screen(self) -> None:
        self.dismiss(None)


def columns(marked: Callable[[int], bool]) -> list[Column[JobLine]]:
    """The progress has what the others leave."""

    def number(job: JobLine) -> Content:
        return Content.styled(f"◆ {job.id}", "$primary bold") if marked(job.id) else Content(str(job.id))

    return [
        Column("id", t("jobs.column_id"), 8, number),
        Column("name", t("jobs.column_name"), NAME_CELLS, lambda job: Content(one_line(job.name)), from_cells=56),
        Column("state", t("jobs.column_state"), 13, lambda job: state_text(job.state)),
        Column("progress", t("jobs.column_progress"), 0, progress),
        Column("score", t("jobs.column_score"), 6, score, from_cells=84),
        Column("created", t("jobs.column_created"), 11, created, from_cells=100),
        Column("took", t("jobs.column_took"), 8, took, from_cells=76),
    ]


def matching(jobs: tuple[JobLine, ...], typed: str) -> tuple[JobLine, ...]:
    """Those in whose number, name or state every word stands that is typed."""
    words = typed.casefold().split()
    states = {state: f"{state} {t(f'run.state_{state}')}" for state in {job.state for job in jobs}}

    def matches(job: JobLine) -> bool:
        said = f"{job.id} {job.name} {states[job.state]}".casefold()
        return all(word in said for word in words)

    return tuple(filter(matches, jobs)) if words else jobs


def score(job: JobLine) -> Content:
    return Content(f"{job.right}/{job.graded}" if job.graded else "—")


def created(job: JobLine) -> Content:
    return Content(time.strftime("%m-%d %H:%M", time.localtime(job.created)) if job.created else "—")


def took(job: JobLine) -> Content:
    if not job.started:
        return Content("—")
    seconds = (job.ended or time.time()) - job.started
    days, hours = divmod(round(seconds) // HOUR_S, 24)
    return Content(duration_text(seconds) if seconds < LONG_S else t("jobs.days", days=days, hours=hours))


def progress(job: JobLine) -> Content:
    """All stages alike as a bar, and the name of the one at work; why it waits where it does."""
    if waiting := waiting_short(job):
        return Content.styled(waiting, "$secondary")
    full = round(job.fraction * BAR_CELLS)
    name = f" {t(f'run.stage_{job.stage}')} {job.stage_fraction:.0%}" if job.stage and not job.ended_already else ""
    style = "$success" if job.state == FINISHED else "$primary"
    return Content.assemble(("━" * full, style), ("─" * (BAR_CELLS - full), "dim"), name)
