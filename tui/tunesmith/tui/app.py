"""The wizard: what all screens share (home, draft, daemon, current job) and where each message leads."""

from __future__ import annotations

import asyncio
import importlib
import os
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from math import inf
from typing import TYPE_CHECKING

from rich.text import Text
from textual import on, work
from textual.app import App, SystemCommand
from textual.binding import Binding
from textual.events import Event, InputEvent
from textual.filter import LineFilter
from textual.screen import Screen

from tunesmith.daemon.api.home import Home
from tunesmith.recipes.errors import TunesmithError
from tunesmith.tui import fault_log, texts
from tunesmith.tui.draft import Draft
from tunesmith.tui.explained import sentences, told
from tunesmith.tui.harmless_lines import HarmlessLines
from tunesmith.tui.idle_collection import LOOK_EVERY_S, IdleCollection
from tunesmith.tui.messages import JobEnded, JobStarted, OpenChat, OpenResult, OpenRun, StartRun
from tunesmith.tui.plain import plain
from tunesmith.tui.planning import Planning
from tunesmith.tui.preferences import Preferences, said_of
from tunesmith.tui.screens.wizard import WizardScreen
from tunesmith.tui.texts import t
from tunesmith.tui.theme import THEMES
from tunesmith.tui.widgets.rail import STEPS, Rail
from tunesmith.tui.widgets.step_parts import Trouble

if TYPE_CHECKING:
    from tunesmith.daemon.api.client import Client
    from tunesmith.daemon.api.requests import DaemonStatus
    from tunesmith.recipes.machine import Machine
    from tunesmith.tui.model_work import ModelWork


class TunesmithApp(App[None]):
    """`machine` and `live=False` show given facts instead of looking: for snapshots. Without `preferences` nothing is
    remembered.
    """

    CSS_PATH = "app.tcss"
    TITLE = "tunesmith"
    BINDINGS = [
        Binding("question_mark,ctrl+g", "help", "keys.help", key_display="?"),
        Binding("j", "jobs", "keys.jobs"),
        Binding("m", "models", "side.models", show=False),
        Binding("k", "machines", "side.machines", show=False),
        Binding("comma", "settings", "side.settings", key_display=",", show=False),
        Binding("ctrl+l", "next_language", "keys.language", show=False),
        Binding("ctrl+t", "next_theme", "keys.theme", show=False),
        Binding("f12", "picture", "copy.picture", show=False, priority=True),
        Binding("q,ctrl+q", "leave", "keys.quit"),
    ]

    def __init__(
        self,
        home: Home,
        draft: Draft | None = None,
        *,
        job_id: int | None = None,
        machine: Machine | None = None,
        live: bool = True,
        preferences: Preferences | None = None,
    ) -> None:
        super().__init__()
        self.home = home
        self.draft = draft or Draft.starter()
        self.machine = machine
        self.live = live
        self.planning = Planning(home, self.draft, machine, live=live)
        self.preferences = preferences or Preferences(home, os.environ, kept=False)
        self.client: Client | None = None
        self.job_id = job_id
        self.job_runs = False
        self.to_chat: int | None = None  # the starter's job, until it ends or one looks elsewhere
        self._connecting = asyncio.Lock()
        self._harmless = HarmlessLines()
        self._beside: Screen[None] | None = None
        self._model_work: ModelWork | None = None
        self.collection: IdleCollection | None = None

    async def on_event(self, event: Event) -> None:
        if self.collection is not None and isinstance(event, InputEvent):
            self.collection.touched()
        await super().on_event(event)

    def idle_s(self) -> float:
        return inf if self.collection is None else self.collection.idle_s()

    def collect_when_idle(self) -> None:
        """For who has the process to itself."""
        self.collection = IdleCollection()
        self.call_after_refresh(self.collection.begin)
        self.set_interval(LOOK_EVERY_S, self.collection.look)

    def get_line_filters(self) -> Sequence[LineFilter]:
        return [*super().get_line_filters(), self._harmless]

    def _fatal_error(self) -> None:
        """Textual would show a traceback with every variable; a person gets a sentence, and the log the traceback."""
        error = self._exception
        self.bell()
        if error is None or self._exit_renderables:  # only the first is told: the others follow from it
            self._close_messages_no_wait()
            return
        try:
            hint = t("app.fault_hint", log=fault_log.keep(error, "wizard.log", self.home))
        except OSError as unwritable:
            hint = t("app.fault_unlogged", error=unwritable)
        what = plain(f"{type(error).__name__}: {error}")
        self.panic(Text.assemble((t("app.fault"), "bold red"), f" {what}\n", plain(hint)))

    @property
    def first_step(self) -> str:
        return "machine" if self.job_id is None else "run"

    def get_default_screen(self) -> Screen[None]:
        return WizardScreen()

    @property
    def frame(self) -> WizardScreen:
        return next(screen for screen in self.screen_stack if isinstance(screen, WizardScreen))

    def on_mount(self) -> None:
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = self.preferences.theme
        if (error := self.preferences.error) is not None:
            message, hint = told(error)
            hint = f"{hint}\n{t('settings.offline_meanwhile')}"
            self.call_after_refresh(lambda: self.frame.query_one("#trouble", Trouble).show(message, hint))
        if self.live:
            self.call_after_refresh(self.find_running_job)

    async def daemon(self) -> Client:
        """The client, with a daemon started when none answers. Raises DaemonError."""
        async with self._connecting:
            if self.client is None or not await self.client.healthy():
                find = await asyncio.to_thread(importlib.import_module, "tunesmith.daemon.api.find")
                old, self.client = self.client, await find.ensure_daemon(self.home)
                if old is not None:
                    await old.close()
            return self.client

    @work(exclusive=True, group="find")
    async def find_running_job(self) -> None:
        """A job that was left running is shown again; no daemon is started for it."""
        if not self.home.socket.exists():
            return
        find = await asyncio.to_thread(importlib.import_module, "tunesmith.daemon.api.find")
        try:
            client = await find.running(self.home)
            if client is None:
                return
            self.client = client
            alive = [view for view in await client.jobs() if not view.ended_already]
        except TunesmithError as error:
            self.frame.query_one("#trouble", Trouble).show(*told(error))
            return
        if alive and self.frame.current == "machine":
            # Jobs come newest first; the one at work is the oldest that has not ended.
            await self.show_run(alive[-1].id, runs=True)

    async def show_run(self, job_id: int, *, runs: bool) -> None:
        self.job_id, self.job_runs = job_id, runs
        if runs:
            self.frame.mark_done("machine", "goal", "model", "data", "recipe")
            self.frame.query_one(Rail).working = "run"
        self._to_frame()
        await self.frame.open("run")

    def _to_frame(self) -> None:
        while self.screen is not self.frame:
            self.pop_screen()

    @on(StartRun)
    def start_run(self, event: StartRun) -> None:
        """What is planned for another machine is not run on this one."""
        if self.planning.simulated:
            from tunesmith.tui import machine_text

            refused = t("machines.refused", name=machine_text.name_of(self.planning.simulated))
            self.frame.query_one("#trouble", Trouble).show(refused, t("machines.refused_hint"))
            return
        self.submit(Draft.starter() if event.starter else self.draft, force=event.force, to_chat=event.starter)

    @work(exclusive=True, group="submit")
    async def submit(self, draft: Draft, *, force: bool = False, to_chat: bool = False) -> None:
        """Hand the draft to the daemon; what goes wrong stays on screen with its next step."""
        await asyncio.to_thread(importlib.import_module, "tunesmith.daemon.api.requests")
        trouble = self.frame.query_one("#trouble", Trouble)
        try:
            spec = draft.spec()
            trouble.wait(t("app.submitting"))
            client = await self.daemon()
            view = await client.submit(self.planning.submission(draft, spec, force=force))
        except TunesmithError as error:
            trouble.show(*told(error))
            return
        draft.submitted()
        trouble.clear()
        self.to_chat = view.id if to_chat else None
        await self.show_run(view.id, runs=True)

    @on(JobStarted)
    @on(OpenRun)
    async def open_run(self, event: JobStarted | OpenRun) -> None:
        await self.show_run(event.job_id, runs=isinstance(event, JobStarted))

    @on(JobEnded)
    async def job_ended(self, event: JobEnded) -> None:
        if event.job_id == self.job_id and self.screen_stack:  # none while the wizard ends
            self.job_runs = False
            self.frame.query_one(Rail).working = None
            if event.state == "finished":
                self.frame.mark_done("run")
                await self._on_to_chat(event.job_id)

    async def _on_to_chat(self, job_id: int) -> None:
        """The starter's run goes on to the chat by itself, for who is still looking at it."""
        from tunesmith.tui.screens.result import can_chat
        from tunesmith.tui.screens.run import RunStep

        view = self.frame.query_one(RunStep).view
        looks = self.screen is self.frame and self.frame.current == "run"
        wanted, self.to_chat = self.to_chat == job_id, None
        if wanted and looks:
            await self.open_result(OpenResult(job_id))
            if view is not None and can_chat(view):
                self.open_chat(OpenChat(job_id))

    @on(OpenResult)
    async def open_result(self, event: OpenResult) -> None:
        self.job_id = event.job_id
        self._to_frame()
        self.frame.mark_done("run", "result")
        await self.frame.open("result")

    @on(OpenChat)
    def open_chat(self, event: OpenChat) -> None:
        from tunesmith.tui.screens.chat import ChatScreen

        self.push_screen(ChatScreen(self.daemon, event.job_id, home=self.home))

    def action_jobs(self) -> None:
        from tunesmith.tui.screens.jobs import JobsScreen

        self._show_beside(JobsScreen, lambda: JobsScreen(self.daemon))

    def action_models(self) -> None:
        from tunesmith.tui.model_work import ModelWork
        from tunesmith.tui.screens.models import ModelsScreen

        doing = self._model_work = self._model_work or ModelWork(self.home, self)
        self._show_beside(ModelsScreen, lambda: ModelsScreen(self.home, doing, self.daemon))

    def action_machines(self) -> None:
        from tunesmith.tui.screens.machines import MachinesScreen

        self._show_beside(MachinesScreen, lambda: MachinesScreen(self.planning, self.daemon_status, self.plan_for))

    def action_settings(self) -> None:
        from tunesmith.tui.screens.settings import SettingsScreen

        self._show_beside(SettingsScreen, lambda: SettingsScreen(self.home, self.preferences, self.settle))

    def _show_beside(self, kind: type[Screen[None]], make: Callable[[], Screen[None]]) -> None:
        """One screen beside the rail at a time: another takes its place, so that one step back is always the wizard."""
        if isinstance(self.screen, kind):
            return
        before, self._beside = self._beside, make()
        if before is not None and self.screen is before:
            self.switch_screen(self._beside)
        else:
            self.push_screen(self._beside)

    async def daemon_status(self) -> DaemonStatus | None:
        """None where no daemon runs; none is started to be looked at. Raises DaemonError."""
        if not self.home.socket.exists():
            return None
        find = await asyncio.to_thread(importlib.import_module, "tunesmith.daemon.api.find")
        client: Client | None = await find.running(self.home)
        if client is None:
            return None
        async with client:
            return await client.status()

    def plan_for(self, key: str) -> None:
        """From now on plans are for the known machine `key`; "" for this one."""
        self.planning.simulated = key
        self.frame.replanned()

    def settle(self, key: str, value: str) -> None:
        """Change a setting and let it count at once. Raises SettingsError."""
        self.preferences.change(key, value)
        if key == "language":
            self.call_later(self.speak, self.preferences.language)
        elif key == "theme":
            self.theme = self.preferences.theme
        else:
            self.planning.forget_model()  # where it will come from may be another place now

    def remember(self, key: str, value: str) -> None:
        """What was chosen elsewhere than in the settings; that it cannot be remembered is said."""
        try:
            self.preferences.change(key, value)
        except TunesmithError as error:
            self.notify(sentences(error), severity="warning", markup=False)

    def action_help(self) -> None:
        from tunesmith.tui.screens.help import HelpScreen

        if not isinstance(self.screen, HelpScreen):
            self.push_screen(HelpScreen(self.screen))

    def action_leave(self) -> None:
        """Leave at once; a job goes on, and the terminal says so."""
        goes_on = self.job_runs and self.job_id is not None
        self.exit(message=t("app.goes_on", job=self.job_id) if goes_on else None)

    async def action_next_language(self) -> None:
        codes = texts.LANGUAGES
        await self.choose_language(codes[(codes.index(texts.language()) + 1) % len(codes)])

    async def choose_language(self, language: str) -> None:
        self.remember("language", language)
        await self.speak(language)

    async def speak(self, language: str) -> None:
        """Change the language of everything on screen."""
        texts.use(language)
        for screen in self.screen_stack:
            if isinstance(screen, WizardScreen):
                await screen.retranslate()
            else:
                screen.refresh(recompose=True)

    def action_next_theme(self) -> None:
        names = [theme.name for theme in THEMES]
        self.action_theme(names[(names.index(self.theme) + 1) % len(names)])

    def action_theme(self, name: str) -> None:
        self.remember("theme", said_of(name))
        self.theme = name

    def action_picture(self) -> None:
        """Save what is on screen as an SVG file, and say where it is."""
        from tunesmith.tui.kept_files import free_path
        from tunesmith.tui.picture import svg

        try:
            path = free_path(self.home.root, "tunesmith-screen", ".svg")
            path.write_text(svg(self, self.title), "utf-8")
        except OSError as error:
            self.notify(t("copy.picture_failed", error=error), severity="error", markup=False)
        else:
            self.notify(t("copy.picture_saved", path=path), markup=False)

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        for number, step in enumerate(STEPS, 1):
            yield SystemCommand(
                t("palette.step", number=number, step=t(f"rail.{step}")), t("palette.step_help"),
                lambda step=step: self.call_later(self.frame.open, step),
            )  # fmt: skip
        yield SystemCommand(t("keys.jobs"), t("palette.jobs_help"), self.action_jobs)
        yield SystemCommand(t("side.models"), t("side.models_help"), self.action_models)
        yield SystemCommand(t("side.machines"), t("side.machines_help"), self.action_machines)
        yield SystemCommand(t("side.settings"), t("side.settings_help"), self.action_settings)
        for code in texts.LANGUAGES:
            name = texts.name(code)
            yield SystemCommand(
                t("palette.language", name=name), name, lambda code=code: self.call_later(self.choose_language, code)
            )
        for theme in THEMES:
            said = t(f"palette.{theme.name.replace('-', '_')}")
            yield SystemCommand(said, t("palette.theme_help"), partial(self.action_theme, theme.name))
        yield SystemCommand(t("copy.picture"), t("copy.picture_help"), self.action_picture)
        yield SystemCommand(t("keys.help"), t("palette.help_help"), self.action_help)
        yield SystemCommand(t("keys.quit"), t("palette.quit_help"), self.action_leave)


def run(home: Home | None = None, draft: Draft | None = None) -> bool:
    """Open the wizard in this terminal; whether it ended well, which it says itself where it did not."""
    home = home or Home.find()
    preferences = Preferences(home, os.environ)
    texts.use(preferences.language)
    app = TunesmithApp(home, draft, preferences=preferences)
    app.call_later(app.collect_when_idle)
    app.run()
    return not app.return_code
