"""Step 7: what the run has changed, what it made, and how to use it."""

from __future__ import annotations

from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.events import Resize
from textual.reactive import reactive
from textual.widgets import Button, Static

from tunesmith.daemon.api.home import Home
from tunesmith.daemon.api.view import FINISHED, JobView
from tunesmith.recipes.errors import TunesmithError
from tunesmith.recipes.spec import BENCHMARK, EVALUATE, EXPORT
from tunesmith.recipes.units import duration_text
from tunesmith.tui.explained import sentences, told
from tunesmith.tui.messages import JobStarted, OpenChat, OpenRun
from tunesmith.tui.plain import one_line, plain
from tunesmith.tui.planning import Planning
from tunesmith.tui.reproduce import command, more_command
from tunesmith.tui.texts import t
from tunesmith.tui.watch import Clients, JobUnknown, JobUpdated, LinkChanged, follow
from tunesmith.tui.widgets.answer_table import AnswerTable
from tunesmith.tui.widgets.artifact_list import ArtifactList
from tunesmith.tui.widgets.job_link import JobLink
from tunesmith.tui.widgets.later_evaluations import LaterEvaluations
from tunesmith.tui.widgets.score_summary import ScoreSummary
from tunesmith.tui.widgets.verification_card import VerificationCard

CARDS_SIDE_BY_SIDE = 64  # columns
REFUSAL_S = 15.0  # it has a next step to read
EVALUATING = (EVALUATE, BENCHMARK)  # tasks


class ResultStep(VerticalScroll):
    """`show_job(job_id)`, or set `view` to a JobView that is there already."""

    DEFAULT_CSS = """
    ResultStep { height: 1fr; padding: 0 1; scrollbar-size-vertical: 1; }
    ResultStep > * { width: 1fr; height: auto; }
    ResultStep .title { text-style: bold; color: $primary; margin: 1 0 0 0; }
    ResultStep #result-cards { layout: vertical; height: auto; }
    ResultStep.-wide #result-cards { layout: horizontal; }
    ResultStep #result-actions { height: 1; margin: 1 0 0 0; }
    ResultStep #result-actions Button { margin-right: 2; }
    ResultStep #result-command, ResultStep #result-more { background: $panel; padding: 0 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("t", "chat", "result.key_chat"),
        Binding("e", "evaluate", "evaluate.key"),
        Binding("y", "offer", "copy.key"),
        Binding("r", "report", "report.key"),
        Binding("g", "run", "result.key_run"),
    ]

    view: reactive[JobView | None] = reactive(None)
    error: reactive[TunesmithError | None] = reactive(None)
    later: reactive[tuple[JobView, ...]] = reactive(())  # jobs that exported this run again, or evaluated it

    def __init__(self, clients: Clients, planning: Planning, *, id: str | None = "step-result") -> None:
        super().__init__(id=id, classes="step")
        self._clients = clients
        self._planning = planning
        self.job_id: int | None = None

    def compose(self) -> ComposeResult:
        yield Static(id="result-head", markup=False)
        with Horizontal(id="result-actions"):
            yield Button(t("result.chat"), id="chat", classes="-main", compact=True)
            yield Button(t("evaluate.key"), id="evaluate", classes="-other", compact=True)
            yield Button(t("result.copy"), id="copy", classes="-other", compact=True)
        yield JobLink(id="result-of")
        yield Static(t("result.scores"), classes="title")
        yield ScoreSummary(id="result-scores")
        yield Static(t("result.evaluated"), classes="title evaluated")
        yield LaterEvaluations(classes="evaluated")
        yield Static(t("result.verification"), classes="title verified")
        yield Horizontal(id="result-cards", classes="verified")
        yield Static(t("result.before_after"), classes="title answered")
        yield AnswerTable(id="held-out", classes="answered")
        yield Static(t("result.kept"), classes="title", id="kept-title")
        yield AnswerTable(id="general")
        yield Static(t("result.files"), classes="title exported")
        yield ArtifactList(classes="exported")
        yield Static(t("result.again"), classes="title")
        yield Static(id="result-command", markup=False)
        yield Static(t("result.more"), classes="title more")
        yield Static(id="result-more", classes="more", markup=False)

    async def on_mount(self) -> None:
        await self._draw()

    def show_job(self, job: int | JobView) -> None:
        """Show this job; one that still runs is followed to its end."""
        job_id = job if isinstance(job, int) else job.id
        if job_id != self.job_id:
            self.view = None
            self.later = ()
        self.job_id, self.error = job_id, None
        self.run_worker(self._look_for_later(job_id), group="later", exclusive=True)
        if isinstance(job, JobView):
            self.view = job
        if self.view is None or not self.view.ended_already:
            self.run_worker(follow(self._clients, job_id, self.post_message), group="follow", exclusive=True)

    async def _look_for_later(self, job_id: int) -> None:
        try:
            jobs = await (await self._clients()).jobs()
        except TunesmithError:  # following the job says so
            return
        self.later = tuple(one for one in jobs if one.of == job_id and (one.artifacts or one.task in EVALUATING))

    @property
    def exported(self) -> list[JobView]:
        """Jobs that wrote more of this run."""
        return [one for one in self.later if one.task == EXPORT]

    @on(JobUpdated)
    def _update(self, message: JobUpdated) -> None:
        message.stop()
        if message.view.id == self.job_id:
            self.view = message.view

    @on(LinkChanged)
    @on(JobUnknown)
    async def _problem(self, message: LinkChanged | JobUnknown) -> None:
        message.stop()
        self.error = message.error

    def on_recomposed(self) -> None:
        """The language has changed: fill in what `compose` leaves empty."""
        self.call_later(self._draw)

    def on_resize(self, event: Resize) -> None:
        self.set_class(event.size.width >= CARDS_SIDE_BY_SIDE, "-wide")

    async def watch_view(self) -> None:
        await self._draw()

    async def watch_later(self) -> None:
        await self._draw()

    async def watch_error(self) -> None:
        await self._draw()

    async def _draw(self) -> None:
        if not self.is_mounted:
            return
        view = self.view
        self.query_one("#result-head", Static).update(head(view, self.error))
        first = view is not None and not self.query_one("#result-actions").display
        for child in self.children:
            if child.id not in ("result-head", "kept-title", "general"):
                child.display = view is not None
        general = [a for a in view.answers if a.set_name != "held_out"] if view else []
        self.query_one("#kept-title").display = self.query_one("#general").display = bool(general)
        if view is None:
            return
        chat, possible = self.query_one("#chat", Button), can_chat(view, *self.exported)
        chat.disabled = not possible
        focused = self.screen.focused
        if first and possible and (focused is None or self in focused.ancestors):
            chat.focus(scroll_visible=False)  # what was hidden lost it to whatever came next
        self.query_one("#evaluate", Button).disabled = not view.ended_already
        self.query_one("#result-of", JobLink).lead_to(view.of, Content(t("result.of", run=view.of)))
        self.query_one("#result-scores", ScoreSummary).view = view
        evaluated = [one for one in self.later if one.task in EVALUATING]
        await self.query_one(LaterEvaluations).show(evaluated)
        self._show_parts(view, bool(evaluated))
        self.query_one("#held-out", AnswerTable).answers = view.answers
        table = self.query_one("#general", AnswerTable)
        if general:
            table.set_name, table.answers = general[0].set_name, general
        self.query_one(ArtifactList).view = view
        self.query_one(ArtifactList).later = tuple(self.exported)
        self.query_one("#result-command", Static).update(Content(command(view)))
        self.query_one("#result-more", Static).update(Content(more_command(view)))
        for part in self.query(".more"):
            part.display = bool(more_command(view))
        cards = self.query_one("#result-cards", Horizontal)
        if len(cards.children) != max(1, len(view.verified)):
            async with self.batch():
                await cards.remove_children()
                await cards.mount(
                    *(VerificationCard(v) for v in view.verified)
                    if view.verified
                    else [Static(Content.styled(t("result.not_verified"), "$foreground 60%"))]
                )
        self.refresh_bindings()

    def _show_parts(self, view: JobView, evaluated: bool) -> None:
        """A job of a finished run has fewer stages, and shows nothing of those it lacks."""
        stages = {stage.name for stage in view.stages}
        answers = "evaluate" in stages and view.task != BENCHMARK
        for name, has in (
            ("evaluated", evaluated), ("verified", "verify" in stages), ("answered", answers),
            ("exported", "export" in stages),
        ):  # fmt: skip
            for part in self.query(f".{name}"):
                part.display = has

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        match action:
            case "chat":
                return self.view is not None and can_chat(self.view, *self.exported)
            case "evaluate":
                return self.view is not None and self.view.ended_already
            case "copy" | "offer" | "run" | "report":
                return self.view is not None
        return True

    def action_chat(self) -> None:
        if self.view is not None:
            self.post_message(OpenChat(self.view.id))

    @work(group="evaluate", exclusive=True)
    async def action_evaluate(self) -> None:
        """By what, in a window; the job that comes of it is shown."""
        from tunesmith.tui.evaluating import evaluable
        from tunesmith.tui.evaluation_form import EvaluationForm
        from tunesmith.tui.screens.evaluate import EvaluateScreen

        if self.view is None:
            return
        try:
            found = await evaluable(await self._clients(), self._planning.home, self.view.id)
        except TunesmithError as error:
            self.notify(sentences(error), severity="error", markup=False, timeout=REFUSAL_S)
            return
        window = EvaluateScreen(self._clients, EvaluationForm(found), self._planning)
        if (job := await self.app.push_screen_wait(window)) is not None:
            self.post_message(JobStarted(job.id))

    def action_copy(self) -> None:
        if self.view is not None:
            self.app.copy_to_clipboard(command(self.view))
            self.notify(t("result.copied"), markup=False)

    def action_offer(self) -> None:
        if self.view is not None:
            from tunesmith.tui.screens.copy import CopyScreen, offers

            self.app.push_screen(CopyScreen(offers(self.view)))

    @work(thread=True, exclusive=True)
    def action_report(self) -> None:
        """Write the run's report beside where the wizard was started, and say where it is."""
        if (view := self.view) is None:
            return
        from tunesmith.tui.kept_files import free_path
        from tunesmith.tui.report.write import write

        try:
            path = free_path(Home.find().root, f"tunesmith-run-{view.id}", ".html")
            write(view, path)
        except OSError as error:
            said, severity = t("report.failed", error=error), "error"
        else:
            said, severity = t("report.written", path=path), "information"
        self.app.call_from_thread(self.notify, said, severity=severity, markup=False, timeout=10)

    def action_run(self) -> None:
        if self.view is not None:
            self.post_message(OpenRun(self.view.id))

    def on_button_pressed(self, event: Button.Pressed) -> None:
        event.stop()
        match event.button.id:
            case "chat":
                self.action_chat()
            case "evaluate":
                self.action_evaluate()
            case _:
                self.action_copy()


def can_chat(view: JobView, *later: JobView) -> bool:
    """Whether it, or a job that exported it again, has left a GGUF."""
    return view.state == FINISHED and any(a.key.startswith("gguf:") for one in (view, *later) for a in one.artifacts)


def head(view: JobView | None, error: TunesmithError | None) -> Content:
    if error is not None and view is None:
        message, hint = told(error)
        return Content.assemble(("✗ ", "$error bold"), plain(message), "\n", (plain(hint), "$foreground 60%"))
    if view is None:
        return Content.styled(t("result.empty"), "$foreground 60%")
    name = Content.assemble((t("run.job", id=view.id), "bold"), "  ", one_line(view.name))
    if view.state != FINISHED:
        return Content.assemble(name, "   ", (t("result.unfinished"), "$warning"))
    seconds = (view.ended or 0) - (view.started or 0)
    parts = [name, Content.styled(f"   ✓ {t('result.took', time=duration_text(seconds))}", "$success")]
    if (early := view.stopped_early) is not None:
        said = t("result.stopped_early", step=early.step, total=early.total_steps)
        parts.append(Content.assemble("\n", (said, "$warning")))
    right, graded = view.correct("tuned")
    before, graded_before = view.correct("base")
    if graded and graded_before:
        sentence = t("result.sentence", before=before, after=right, graded=graded)
        parts.append(Content.assemble("\n", (sentence, "bold")))
    return Content("").join(parts)
