"""Follows one job in the daemon and tells a widget about it, at most ten times a second, less while a person types."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from math import inf
from typing import Any, Protocol

from textual.message import Message

from tunesmith.daemon.api.events import Numbered
from tunesmith.daemon.api.listing import Lines
from tunesmith.daemon.api.requests import Chat, ChatEvent, ChatModel, LogText, Submit
from tunesmith.daemon.api.view import JobView, fold
from tunesmith.recipes.errors import DaemonError, TunesmithError
from tunesmith.tui.idle_collection import ANSWERED_S, IDLE_S

POST_INTERVAL_S = 0.1  # faster than the eye reads, slow enough that 5000 events are no work
SLICE_S = 0.004  # of reading events, after which keys have their turn
TYPING_INTERVAL_S = 1.0  # to draw a run takes as long as to answer a key, which would wait for it
PING_INTERVAL_S = 2.0  # the client reconnects silently; this is how soon a person hears of a lost daemon
RETRY_S = 1.0


class JobClient(Protocol):
    """What the screens ask of `daemon.api.client.Client`."""

    async def healthy(self) -> bool: ...
    async def submit(self, request: Submit) -> JobView: ...
    async def jobs(self) -> list[JobView]: ...
    async def lines(self, after: str = "") -> Lines: ...
    async def job(self, job_id: int) -> JobView: ...
    async def cancel(self, job_id: int) -> JobView: ...
    async def resume(self, job_id: int, force: bool = False) -> JobView: ...
    async def pause(self, job_id: int) -> JobView: ...
    async def finish(self, job_id: int) -> JobView: ...
    async def retry(self, job_id: int, key: str, force: bool = False) -> JobView: ...
    async def move(self, job_id: int, before: int | None = None) -> JobView: ...
    async def log(self, job_id: int, tail: int = 200) -> LogText: ...
    def events(self, job_id: int, after: int = 0) -> AsyncIterator[Numbered]: ...
    async def chat_model(self, job_id: int, base: bool = False) -> ChatModel: ...
    def chat(self, job_id: int, request: Chat) -> AsyncIterator[ChatEvent]: ...


Clients = Callable[[], Awaitable[JobClient]]
"""Gives a client whose daemon answers, starting the daemon when none does; raises TunesmithError."""

IdleSeconds = Callable[[], float]
"""Seconds without a key or the mouse."""


class JobUpdated(Message):
    """The job looks like this now."""

    def __init__(self, view: JobView) -> None:
        super().__init__()
        self.view = view

    def can_replace(self, message: Message) -> bool:
        """Where drawing takes longer than the interval, views that wait give way to the newest."""
        return isinstance(message, JobUpdated) and message.view.id == self.view.id


class LinkChanged(Message):
    """The daemon is reached again (`error` None), or not, and why; following goes on either way."""

    def __init__(self, error: TunesmithError | None) -> None:
        super().__init__()
        self.error = error


class JobUnknown(Message):
    """The daemon refuses to show the job; following has ended."""

    def __init__(self, error: TunesmithError) -> None:
        super().__init__()
        self.error = error


class Coalescer:
    """Posts the latest view offered, at once when quiet, else when the interval is over; never drops the last.

    While a person types, between two keys if that can be: not before the last one's answer is drawn.
    """

    def __init__(self, post: Callable[[Message], Any], idle_s: IdleSeconds) -> None:
        self._post = post
        self._idle_s = idle_s
        self._loop = asyncio.get_running_loop()
        self._posted_at = self._waits_since = -inf
        self._timer: asyncio.TimerHandle | None = None
        self._waiting: JobView | None = None

    def offer(self, view: JobView) -> None:
        if self._waiting is None:
            self._waits_since = self._loop.time()
        self._waiting = view
        if self._timer is None:
            self._post_when_due()

    def _post_when_due(self) -> None:
        now, idle_s = self._loop.time(), self._idle_s()
        due = self._posted_at + (TYPING_INTERVAL_S if idle_s < IDLE_S else POST_INTERVAL_S)
        if now < self._waits_since + TYPING_INTERVAL_S:  # else keys come without a pause
            due = max(due, now + ANSWERED_S - idle_s)
        if now >= due:
            self.flush()
        else:
            self._timer = self._loop.call_at(due, self._post_when_due)

    def flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._waiting is not None:
            view, self._waiting = self._waiting, None
            self._posted_at = self._loop.time()
            self._post(JobUpdated(view))

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def nobody_types() -> float:
    return inf


async def follow(
    clients: Clients, job_id: int, post: Callable[[Message], Any], idle_s: IdleSeconds = nobody_types
) -> None:
    """Post the job's view until it ends. A lost daemon is said once, and tried again until it answers."""
    link = _Link(post)
    coalescer, keys = Coalescer(post, idle_s), _KeysFirst(idle_s)
    view: JobView | None = None
    try:
        while True:
            try:
                client = await clients()
                if view is None:
                    view = await client.job(job_id)
                    coalescer.offer(view)
                link.up()
                pinger = asyncio.create_task(_ping(clients, client, link))
                try:
                    if not view.ended_already:
                        async for numbered in client.events(job_id, view.last_event):
                            await keys.give_way()
                            view = fold(view, numbered)
                            coalescer.offer(view)
                            link.up()
                finally:
                    pinger.cancel()
                if view.ended_already:
                    coalescer.flush()
                    return
            except DaemonError as error:
                link.down(error)
            except TunesmithError as error:
                post(JobUnknown(error))
                return
            await asyncio.sleep(RETRY_S)
    finally:
        coalescer.close()


class _KeysFirst:
    """Events that came at once are read in slices, none while a key is answered: it would wait for them."""

    def __init__(self, idle_s: IdleSeconds) -> None:
        self._idle_s = idle_s
        self._clock = asyncio.get_running_loop().time
        self._since = self._clock()

    async def give_way(self) -> None:
        if self._clock() - self._since < SLICE_S:
            return
        await asyncio.sleep(0)
        if (left := ANSWERED_S - self._idle_s()) > 0:
            await asyncio.sleep(left)
        self._since = self._clock()


class _Link:
    """Says a change of the link once."""

    def __init__(self, post: Callable[[Message], Any]) -> None:
        self._post = post
        self._lost = False

    def up(self) -> None:
        if self._lost:
            self._lost = False
            self._post(LinkChanged(None))

    def down(self, error: TunesmithError) -> None:
        if not self._lost:
            self._lost = True
            self._post(LinkChanged(error))


async def _ping(clients: Clients, client: JobClient, link: _Link) -> None:
    """While the stream waits: notice a dead daemon, have it started again (it adopts the worker)."""
    while True:
        await asyncio.sleep(PING_INTERVAL_S)
        if await client.healthy():
            link.up()
            continue
        link.down(DaemonError("The daemon does not answer", code="unreachable"))
        try:
            await clients()
        except TunesmithError as error:
            link.down(error)
