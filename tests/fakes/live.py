"""A daemon's client in memory that replays real events, and a ten-line app that shows one widget alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from histories import START
from textual import on
from textual.app import App, ComposeResult
from textual.message import Message
from textual.widget import Widget

from tunesmith.daemon.api import events as e
from tunesmith.daemon.api.listing import Lines, line_of
from tunesmith.daemon.api.requests import (
    Chat,
    ChatCalled,
    ChatDelta,
    ChatDone,
    ChatEvent,
    ChatModel,
    LogText,
    Submit,
)
from tunesmith.daemon.api.tools import ToolCall
from tunesmith.daemon.api.view import JobView, fold
from tunesmith.recipes.errors import DaemonError, JobError
from tunesmith.tui.messages import JobEnded, JobStarted, OpenChat, OpenResult, OpenRun
from tunesmith.tui.theme import THEMES
from tunesmith.tui.widgets.key_bar import KeyBar


class FakeClient:
    """Holds jobs as lists of events; `say` adds one while others follow."""

    def __init__(self, **histories: list[e.Event]) -> None:
        """Names are the jobs' names; ids count from 1."""
        self.histories = dict(enumerate(histories.values(), 1))
        self.names = dict(enumerate(histories, 1))
        self.folder = Path("/home/ada/.local/share/tunesmith")
        self.down = False
        self.submitted: list[Submit] = []
        self.cancelled: list[int] = []
        self.paused: list[int] = []
        self.kept: list[int] = []
        self.resumed: list[int] = []
        self.forced: list[int] = []
        self.chats: list[Chat] = []
        self.answer = ["I am ", "Vesper", ", made by ", "Juniper Labs."]
        self.calls: dict[bool, tuple[ToolCall, ...]] = {}  # of a question, by whether the base is asked
        self.sees = True
        self.finish_reason, self.prompt_tokens = "stop", 300
        self.hold_answer = asyncio.Event()
        self.hold_answer.set()
        self.log_text = "loading weights\nstep 1\n"
        self._said = asyncio.Condition()

    async def clients(self) -> FakeClient:
        """The provider that widgets are given."""
        self._check()
        return self

    def _check(self) -> None:
        if self.down:
            raise DaemonError("The daemon does not answer", "Run `tunesmith daemon start`.", code="unreachable")

    async def say(self, job_id: int, *events: e.Event) -> None:
        async with self._said:
            self.histories[job_id].extend(events)
            self._said.notify_all()

    async def healthy(self) -> bool:
        return not self.down

    async def job(self, job_id: int) -> JobView:
        self._check()
        if job_id not in self.histories:
            raise JobError(f"There is no job {job_id}", "See `tunesmith jobs`.")
        view = JobView(job_id, self.names[job_id], folder=str(self.folder / "jobs" / str(job_id)))
        for number, event in enumerate(self.histories[job_id], 1):
            view = fold(view, e.Numbered(number, event))
        return view

    async def jobs(self) -> list[JobView]:
        return [await self.job(job_id) for job_id in sorted(self.histories, reverse=True)]

    async def lines(self, after: str = "") -> Lines:
        """All of them, every time."""
        return Lines("", tuple(line_of(view) for view in await self.jobs()))

    async def submit(self, request: Submit) -> JobView:
        self._check()
        self.submitted.append(request)
        job_id = max(self.histories) + 1
        self.histories[job_id], self.names[job_id] = [e.Queued(time=START)], request.spec.name
        return await self.job(job_id)

    async def cancel(self, job_id: int) -> JobView:
        self.cancelled.append(job_id)
        await self.say(job_id, e.CancelRequested(time=START + 50), e.Cancelled(time=START + 51))
        return await self.job(job_id)

    async def resume(self, job_id: int, force: bool = False) -> JobView:
        self._check()
        self.resumed.append(job_id)
        if force:
            self.forced.append(job_id)
        await self.say(job_id, e.Queued(time=START + 60))
        return await self.job(job_id)

    async def pause(self, job_id: int) -> JobView:
        self.paused.append(job_id)
        await self.say(job_id, e.PauseRequested(time=START + 50), e.Paused(time=START + 51))
        return await self.job(job_id)

    async def finish(self, job_id: int) -> JobView:
        self.kept.append(job_id)
        await self.say(job_id, e.FinishRequested(time=START + 50))
        return await self.job(job_id)

    async def retry(self, job_id: int, key: str, force: bool = False) -> JobView:
        self._check()
        again = max(self.histories) + 1
        self.histories[again], self.names[again] = [e.Queued(time=START)], self.names[job_id]
        return await self.job(again)

    async def move(self, job_id: int, before: int | None = None) -> JobView:
        await self.say(job_id, e.Moved(time=START + 52, place=0.0))
        return await self.job(job_id)

    async def log(self, job_id: int, tail: int = 200) -> LogText:
        self._check()
        return LogText(f"jobs/{job_id}/worker-1.log", self.log_text)

    async def events(self, job_id: int, after: int = 0) -> AsyncIterator[e.Numbered]:
        while True:
            self._check()
            history = self.histories[job_id]
            while after < len(history):
                after += 1
                yield e.Numbered(after, history[after - 1])
                if isinstance(history[after - 1], e.RESTING) and after == len(history):
                    return
            async with self._said:
                if after >= len(self.histories[job_id]):
                    await self._said.wait()

    async def chat_model(self, job_id: int, base: bool = False) -> ChatModel:
        self._check()
        return ChatModel("base-q8_0" if base else "model-q8_0", self.sees)

    async def chat(self, job_id: int, request: Chat) -> AsyncIterator[ChatEvent]:
        self._check()
        self.chats.append(request)
        calls = self.calls.get(request.base, ()) if request.messages[-1].role == "user" and request.tools else ()
        words = [] if calls else ["I am a helpful assistant."] if request.base else self.answer
        for word in words:
            yield ChatDelta(word)
        for call in calls:
            yield ChatCalled(call)
        await self.hold_answer.wait()
        model = "base-q8_0.gguf" if request.base else "model-q8_0.gguf"
        yield ChatDone(
            len(words) or 9, 41.5, "tool_calls" if calls else self.finish_reason, model, self.prompt_tokens, 4096
        )


class Alone(App[None]):
    """Shows one widget; keeps the messages that reached it."""

    CSS = "Screen { overflow: hidden; }"

    def __init__(self, widget: Widget, theme: str = "tunesmith-dark") -> None:
        super().__init__()
        self.widget, self.received = widget, list[Message]()
        self._theme_name = theme

    def compose(self) -> ComposeResult:
        yield self.widget
        yield KeyBar()

    def on_mount(self) -> None:
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = self._theme_name
        self.widget.focus()

    @on(JobEnded)
    @on(JobStarted)
    @on(OpenRun)
    @on(OpenResult)
    @on(OpenChat)
    def _keep(self, message: Message) -> None:
        self.received.append(message)
