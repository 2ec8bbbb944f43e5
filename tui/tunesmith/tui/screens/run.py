"""Step 6: one job as it runs; everything shown is drawn from its JobView."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from typing import ClassVar

import msgspec
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical
from textual.content import Content
from textual.events import Click, Resize
from textual.reactive import reactive
from textual.widgets import ContentSwitcher, Static

from tunesmith.daemon.api.view import CANCELLED, FINISHED, QUEUED, RESUMABLE_STATES, RUNNING, JobView
from tunesmith.recipes.errors import ErrorBody, TunesmithError
from tunesmith.tui import remaining
from tunesmith.tui.explained import SAID, sentences, told
from tunesmith.tui.job_text import shrunk_text, waiting_text
from tunesmith.tui.messages import JobEnded, JobStarted, OpenResult
from tunesmith.tui.plain import plain
from tunesmith.tui.texts import t
from tunesmith.tui.watch import Clients, JobClient, JobUnknown, JobUpdated, LinkChanged, follow, nobody_types
from tunesmith.tui.widgets.computing import Computing, slower
from tunesmith.tui.widgets.confirm import Confirm
from tunesmith.tui.widgets.error_panel import ErrorPanel
from tunesmith.tui.widgets.feed import Feed
from tunesmith.tui.widgets.job_head import MUTED, job_head
from tunesmith.tui.widgets.log_view import LogView
from tunesmith.tui.widgets.loss_chart import LossChart
from tunesmith.tui.widgets.metrics import Metrics
from tunesmith.tui.widgets.run_machine import RunMachine
from tunesmith.tui.widgets.stage_chain import StageChain

WIDE_COLUMNS = 92  # chart and answers side by side
DENSE_ROWS = 24  # below, no empty lines between the parts
SHORT_ROWS = 16  # below, the chain takes one line
TINY_ROWS = 12  # below, no chart
LIVE, LOG, COMPUTING = "run-live", "run-log", "run-computing"  # what the body shows


class RunStep(Container):
    """`show_job(job_id)` follows that job until it ends or another one is shown."""

    DEFAULT_CSS = """
    RunStep { height: 1fr; padding: 0 1; overflow-y: auto; scrollbar-size-vertical: 1; }
    RunStep > * { width: 1fr; }
    RunStep #run-head, RunStep #run-slower { height: 1; text-wrap: nowrap; text-overflow: ellipsis; }
    RunStep #run-link { height: auto; background: $warning 15%; border-left: outer $warning; padding: 0 1;
                        display: none; }
    RunStep #run-slower, RunStep #run-waits { display: none; }
    RunStep #run-waits { height: auto; background: $secondary 12%; border-left: outer $secondary; padding: 0 1; }
    RunStep.-short #run-waits { max-height: 1; text-wrap: nowrap; text-overflow: ellipsis; }
    RunStep #run-waits:hover { background: $secondary 20%; }
    RunStep #run-slower:hover { background: $panel; }
    RunStep #run-why { height: 1; color: $foreground 60%; text-wrap: nowrap; text-overflow: ellipsis; display: none; }
    RunStep StageChain { margin: 1 0 0 0; }
    RunStep Metrics { margin: 1 0 0 0; }
    RunStep #run-body { height: 1fr; min-height: 4; margin: 1 0 0 0; }
    RunStep #run-live { layout: vertical; height: 1fr; }
    RunStep.-wide #run-live { layout: horizontal; }
    RunStep.-wide LossChart { width: 3fr; margin-right: 2; }
    RunStep.-wide Feed { width: 2fr; }
    RunStep.-no-curve LossChart { display: none; }
    RunStep LossChart { height: 2fr; }
    RunStep Feed { height: 1fr; }
    RunStep.-wide LossChart, RunStep.-wide Feed { height: 1fr; }
    RunStep RunMachine { margin: 1 0 0 0; }
    RunStep.-short RunMachine, RunMachine.-computing { display: none; }
    RunStep.-dense RunMachine, RunStep.-dense StageChain { margin: 0; }
    RunStep.-dense Metrics, RunStep.-dense #run-body { margin: 0; }
    RunStep.-tiny LossChart, RunStep.-tiny Metrics.-computing { display: none; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("l", "show('run-log')", "run.key_log"),
        Binding("p", "pause", "live.key_pause"),
        Binding("s", "finish", "live.key_finish"),
        Binding("c", "cancel", "run.key_cancel"),
        Binding("w", "show('run-computing')", "run.key_computing"),
        Binding("d", "detach", "run.key_detach"),
        Binding("x", "curve", "live.key_curve", show=False),
        Binding("slash", "find", "logs.key_find", show=False),
        Binding("y", "copy", "copy.key", show=False),
        Binding("r", "resume", "run.key_resume"),
        Binding("f", "force", "run.key_force"),
        Binding("a", "retry", "run.key_retry"),
        Binding("enter", "result", "run.key_result"),
    ]

    view: reactive[JobView | None] = reactive(None)
    lost: reactive[TunesmithError | None] = reactive(None)
    body: reactive[str] = reactive(LIVE)

    def __init__(self, clients: Clients, *, id: str | None = "step-run") -> None:
        super().__init__(id=id, classes="step")
        self._clients = clients
        self.job_id: int | None = None
        self._seen_alive = False

    def compose(self) -> ComposeResult:
        yield Static(id="run-head", markup=False)
        yield Static(id="run-link", markup=False)
        yield Static(id="run-waits", markup=False)
        yield StageChain()
        yield Static(id="run-why", markup=False)
        yield ErrorPanel()
        yield Metrics()
        yield RunMachine()
        yield Static(id="run-slower", markup=False)
        with ContentSwitcher(initial=self.body, id="run-body"):
            with Vertical(id=LIVE):
                yield LossChart()
                yield Feed()
            yield LogView(self._clients, id=LOG)
            yield Computing(id=COMPUTING)

    def on_mount(self) -> None:
        self._draw()

    def show_job(self, job_id: int) -> None:
        """Follow `job_id`; the same one again is only looked at again when it had ended, as it may go on."""
        if job_id != self.job_id:
            self.job_id, self.view, self.lost, self._seen_alive, self.body = job_id, None, None, False, LIVE
        elif self.view is None or not self.view.ended_already:
            self._draw()
            return
        self._draw()
        idle_s = getattr(self.app, "idle_s", nobody_types)  # this step can be shown alone
        self.run_worker(follow(self._clients, job_id, self.post_message, idle_s), group="follow", exclusive=True)

    @on(JobUpdated)
    def _update(self, message: JobUpdated) -> None:
        if message.view.id != self.job_id:
            return
        self.view = message.view
        if not message.view.ended_already:
            self._seen_alive = True
        elif self._seen_alive:
            self._seen_alive = False
            self.post_message(JobEnded(message.view.id, message.view.state))

    @on(LinkChanged)
    def _link(self, message: LinkChanged) -> None:
        self.lost = message.error

    @on(JobUnknown)
    def _unknown(self, message: JobUnknown) -> None:
        self.query_one(ErrorPanel).error = message.error.body()

    def on_recomposed(self) -> None:
        """The language has changed: fill in what `compose` leaves empty."""
        self._fit(*self.content_size)
        self._draw()

    def on_resize(self, event: Resize) -> None:
        self._fit(*self.content_size)

    def _fit(self, width: int, height: int) -> None:
        self.set_class(width >= WIDE_COLUMNS, "-wide")
        self.set_class(height < DENSE_ROWS, "-dense")
        self.set_class(height < SHORT_ROWS, "-short")
        self.set_class(height < TINY_ROWS, "-tiny")
        self.query_one(StageChain).compact = height < SHORT_ROWS

    def watch_view(self) -> None:
        if self.display:  # behind another step nothing is drawn; `show_job` does when it is shown again
            self._draw()

    def watch_lost(self) -> None:
        self._draw()

    def watch_body(self, body: str) -> None:
        if not self.is_mounted:
            return
        self.query_one("#run-body", ContentSwitcher).current = body
        for figures in (Metrics, RunMachine):  # not this step's class: the styles of all in it would be made anew
            self.query_one(figures).set_class(body == COMPUTING, "-computing")
        self.query_one(LogView).read()
        self.query_one({LIVE: "Feed", LOG: "LogView", COMPUTING: "Computing"}[body]).focus()
        self._draw()

    def _draw(self) -> None:
        if not self.is_mounted:
            return
        view = self.view
        _say(self.query_one("#run-head", Static), job_head(view))
        self._draw_link()
        self.query_one(LogView).job_id = self.job_id
        if view is None:
            return
        chain = self.query_one(StageChain)
        chain.stages = tuple(
            msgspec.structs.replace(s, state="stopped") if s.state == "running" and view.state == CANCELLED else s
            for s in view.stages
        )
        chain.expected = remaining.expected(view)
        self._draw_why(view)
        panel = self.query_one(ErrorPanel)
        panel.keys = _way_on(view)
        panel.error = view.error or (ErrorBody(SAID, t("run.cancelled")) if view.state == CANCELLED else None)
        self.query_one(Metrics).step = view.step
        self.query_one(RunMachine).view = view
        if self.body == COMPUTING:
            self.query_one(Computing).view = view
        self._draw_waits(view)
        self._draw_slower(view)
        chart = self.query_one(LossChart)
        chart.total_steps = view.step.total_steps if view.step else 0
        chart.losses, chart.learning_rates, chart.held_out = view.losses, view.learning_rates, view.held_out_losses()
        # An ended job without a curve gives its place to what was said.
        self.set_class(view.ended_already and not view.losses, "-no-curve")
        self.query_one(Feed).view = view
        self.refresh_bindings()

    def _draw_why(self, view: JobView) -> None:
        """What the stage at work is for, in a sentence."""
        bar = self.query_one("#run-why", Static)
        working = next((stage.name for stage in view.stages if stage.state == "running"), None)
        bar.display = working is not None and not view.ended_already and not self.has_class("-short")
        if working is not None:
            _say(bar, Content(f"→ {t(f'run.stage_{working}')}: {t(f'run.why_{working}')}"))

    def _draw_waits(self, view: JobView) -> None:
        """Why a queued job does not start, and what was made smaller after memory ran out."""
        bar = self.query_one("#run-waits", Static)
        said = []
        if waits := waiting_text(view):
            said += [Content.assemble(("… ", "$secondary bold"), waits), Content.styled(t("run.force_hint"), MUTED)]
        if smaller := shrunk_text(view):
            said.append(Content.assemble(("▼ ", "$secondary bold"), smaller))
        bar.display = bool(said)
        _say(bar, Content("\n").join(said), lines_differ=True)

    @on(Click, "#run-waits")
    def _waits_clicked(self) -> None:
        if self.check_action("force", ()):
            self.action_force()

    def _draw_slower(self, view: JobView) -> None:
        """A slower path than there could be is said where the figures are, never only in the panel."""
        bar, text = self.query_one("#run-slower", Static), slower(view.paths)
        bar.display = text is not None and self.body != COMPUTING and not view.ended_already
        if text is not None:
            _say(bar, Content.assemble(text, (f"  {t('computing.see')}", "$foreground 60%")))

    @on(Click, "#run-slower, Metrics")
    def _clicked(self) -> None:
        self.action_show(COMPUTING)

    def _draw_link(self) -> None:
        bar = self.query_one("#run-link", Static)
        bar.display = self.lost is not None
        if self.lost is not None:
            answers = self.lost.code == "version_mismatch"  # it is there, and will not be there again by waiting
            said = [] if answers else [(t("run.link_lost"), "bold")]
            said += [(plain(text), "") for text in told(self.lost) if text]
            bar.update(
                Content.assemble(("! ", "$warning bold"), Content("\n").join(Content.styled(*one) for one in said))
            )

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        state = self.view.state if self.view else None
        match action:
            case "cancel":
                return state in (QUEUED, RUNNING)
            case "pause":
                return state in (QUEUED, RUNNING)
            case "finish":
                return self.view is not None and can_finish(self.view)
            case "curve":
                return self.view is not None and bool(self.view.losses) and self.body == LIVE
            case "copy":
                return self.view is not None
            case "detach":
                return self.view is not None and not self.view.ended_already
            case "force":
                return self.view is not None and bool(waiting_text(self.view))
            case "resume" | "retry":
                return state in RESUMABLE_STATES
            case "result":
                return state == FINISHED
            case "show" | "find":
                return self.job_id is not None
        return True

    def action_show(self, body: str) -> None:
        """Show `body`; the same again goes back to the curve and the answers."""
        self.body = LIVE if self.body == body else body

    def action_curve(self) -> None:
        """The learning rate in the place of the loss, or the loss again."""
        chart = self.query_one(LossChart)
        chart.rate_first = not chart.rate_first

    def action_find(self) -> None:
        """Search the log."""
        self.body = LOG
        self.query_one(LogView).action_find()

    @work
    async def action_cancel(self) -> None:
        if (job_id := self.job_id) is not None and await self.app.push_screen_wait(
            Confirm(t("run.cancel_question", id=job_id), t("run.cancel_yes"), t("run.cancel_no"))
        ):
            await self._ask(lambda client: client.cancel(job_id))

    @work
    async def action_pause(self) -> None:
        """It stops after this step, with a checkpoint; a queued one leaves the queue."""
        if (job_id := self.job_id) is None:
            return
        if await self._ask(lambda client: client.pause(job_id)):
            self.notify(t("live.pausing"), markup=False)

    @work
    async def action_finish(self) -> None:
        """Training ends after this step; what was learned is evaluated and exported."""
        if (
            (job_id := self.job_id) is not None
            and await self.app.push_screen_wait(
                Confirm(t("live.finish_question"), t("live.finish_yes"), t("live.finish_no"))
            )
            and await self._ask(lambda client: client.finish(job_id))
        ):
            self.notify(t("live.finishing"), markup=False)

    def action_detach(self) -> None:
        """Leave; the daemon keeps the job."""
        self.app.exit(message=t("run.detached", id=self.job_id))

    @work
    async def action_force(self) -> None:
        """Start a waiting job whatever its forecast says, after a question."""
        if (view := self.view) is not None and await self.app.push_screen_wait(
            Confirm(t("run.force_question", reason=waiting_text(view)), t("forecast.anyway_yes"), t("run.force_no"))
        ):
            await self._ask(lambda client: client.resume(view.id, force=True))

    @work
    async def action_resume(self) -> None:
        """Queue the same job again; it goes on from its last checkpoint, or from the start when it has none."""
        if (job_id := self.job_id) is not None:
            self._follow(await self._ask(lambda client: client.resume(job_id)))

    @work
    async def action_retry(self) -> None:
        """Submit the same recipe again and follow the new job."""
        if (view := self.view) is not None:
            self._follow(await self._ask(lambda client: client.retry(view.id, uuid.uuid4().hex)))

    async def _ask(self, ask: Callable[[JobClient], Awaitable[JobView]]) -> JobView | None:
        """The job as it is then; None, and the reason is shown, where that was refused."""
        try:
            return await ask(await self._clients())
        except TunesmithError as error:
            self.notify(sentences(error), severity="error", markup=False)
            return None

    def _follow(self, view: JobView | None) -> None:
        if view is not None:
            self.show_job(view.id)
            self.post_message(JobStarted(view.id))

    def action_copy(self) -> None:
        if self.view is not None:
            from tunesmith.tui.screens.copy import CopyScreen, offers

            self.app.push_screen(CopyScreen(offers(self.view)))

    def action_result(self) -> None:
        if self.job_id is not None:
            self.post_message(OpenResult(self.job_id))


def _say(bar: Static, content: Content, *, lines_differ: bool = False) -> None:
    """Nothing is drawn again that says the same, and nothing laid out again for a line in place of a line."""
    if not (isinstance(bar.content, Content) and bar.content.is_same(content)):
        bar.update(content, layout=lines_differ)


def _way_on(view: JobView) -> str:
    """What the keys do for a job that failed or was cancelled."""
    if view.checkpoint is None:
        return t("run.after_failure") if view.error else t("run.after_cancel")
    return t("run.after_checkpoint", step=view.checkpoint.step)


def can_finish(view: JobView) -> bool:
    """Whether training can be stopped and what was learned kept: while it trains, once."""
    trains = any(stage.name == "train" and stage.state == "running" for stage in view.stages)  # other jobs do not
    return view.state == RUNNING and not view.finishing and trains
