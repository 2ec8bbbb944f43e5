"""A job's events for all who follow it: read once, encoded once, and written to each as fast as it reads.

Nothing waits for a client: what it has not read yet is in one window that all share. Whoever was live and falls out of
the window is told so with a `gap`; whoever comes back with Last-Event-ID is given everything from the database.
"""

from __future__ import annotations

import asyncio
import collections
import logging
import time
from collections.abc import Iterable, Iterator

from tunesmith.daemon.api import events as e
from tunesmith.daemon.gauges import Gauges
from tunesmith.daemon.server.connection import Connection
from tunesmith.daemon.store import Store
from tunesmith.recipes.errors import JobError

STREAMS = 1024
HEARTBEAT_S = 10.0
PIECE_BYTES = 32_768  # what a stuck follower can cost us: a thousand of them 32 MB
WINDOW_BYTES = 2_000_000  # some six seconds of a thousand events each; a person who follows reads at once
BATCH = 500  # events read at once
REPLAYED = 100  # events replayed at once: about a piece
BLOCKS_KEPT = 300  # of that many events, some 10 MB: followers who came together read the same
READS_AT_ONCE = 2  # of replays, so that commits do not queue behind a thousand of them
SLICE = 16  # followers written to before others get their turn: about a millisecond
SOON_S = 0.01
PAUSE_PER_FOLLOWER_S = 0.0002  # between passes, so that many followers are served in larger pieces
log = logging.getLogger("tunesmith.streams")


class Piece:
    """Some events as one HTTP chunk."""

    __slots__ = ("chunk", "first", "last")

    def __init__(self, rows: list[tuple[int, bytes]]) -> None:
        self.first, self.last = rows[0][0], rows[-1][0]
        self.chunk = as_chunk(b"".join(b"id: %d\ndata: %s\n\n" % row for row in rows))


def pieces(rows: Iterable[tuple[int, bytes]]) -> Iterator[Piece]:
    """`rows` in order, in pieces of at most PIECE_BYTES (a larger event is a piece of its own)."""
    gathered: list[tuple[int, bytes]] = []
    size = 0
    for row in rows:
        if gathered and size + len(row[1]) > PIECE_BYTES:
            yield Piece(gathered)
            gathered, size = [], 0
        gathered.append(row)
        size += len(row[1])
    if gathered:
        yield Piece(gathered)


def as_chunk(body: bytes) -> bytes:
    """As HTTP/1.1's chunked transfer coding has it."""
    return b"%x\r\n%s\r\n" % (len(body), body)


def unnumbered(event: e.Event) -> bytes:
    return as_chunk(b"data: %s\n\n" % e.encode(event))


class Follower:
    """`at` is the last number it was sent, `index` the next piece of the channel for it."""

    __slots__ = ("at", "connection", "done", "gauge", "index")

    def __init__(self, connection: Connection, at: int, index: int) -> None:
        self.connection = connection
        self.at = at
        self.index = index
        self.gauge: e.Gauged | None = None
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def finish(self) -> None:
        if not self.done.done():
            self.done.set_result(None)


class Channel:
    """One followed job: the window of its newest events, up to number `at`, and who is to be sent them."""

    def __init__(self, job_id: int, store: Store, gauges: Gauges, stopping: asyncio.Event) -> None:
        self.job_id = job_id
        self.closed = False
        self.at = store.get(job_id).last_event
        self._store = store
        self._gauges = gauges
        self._stopping = stopping
        self._window: collections.deque[Piece] = collections.deque()
        self._bytes = 0
        self._base = 0  # index of the window's first piece
        self._followers: dict[Follower, None] = {}
        self._awake = asyncio.Event()
        self._beat = False
        self._gauge: tuple[e.Gauged, bytes] | None = None

    async def attend(self, connection: Connection, at: int) -> None:
        """Have `connection` sent all events above `at`, which is our newest, until the job has ended or it is lost."""
        follower = Follower(connection, at, self._base + len(self._window))
        self._followers[follower] = None
        connection.on_change = self._awake.set
        self._awake.set()
        try:
            await follower.done
        finally:
            connection.on_change = None
            self._followers.pop(follower, None)
            self._awake.set()

    async def run(self) -> None:
        """Until nobody follows."""
        watching = [asyncio.create_task(one) for one in (self._watch(), self._watch_gauges(), self._watch_stop())]
        passing = asyncio.create_task(self._passes())
        try:
            done, _ = await asyncio.wait((passing, *watching), return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            self.closed = True
            for task in (passing, *watching):
                task.cancel()
            for follower in list(self._followers):
                follower.finish()

    async def _watch(self) -> None:
        while True:
            if await self._store.wait_beyond(self.job_id, self.at, HEARTBEAT_S):
                self._add(await self._store.events(self.job_id, self.at, BATCH))
            else:
                self._beat = True
            self._awake.set()

    async def _watch_gauges(self) -> None:
        while True:
            await self._gauges.changed(self.job_id)
            self._awake.set()

    async def _watch_stop(self) -> None:
        await self._stopping.wait()

    def _add(self, rows: list[tuple[int, bytes]]) -> None:
        for piece in pieces(rows):
            self._window.append(piece)
            self._bytes += len(piece.chunk)
            self.at = piece.last
        while self._bytes > WINDOW_BYTES and len(self._window) > 1:
            self._bytes -= len(self._window.popleft().chunk)
            self._base += 1

    async def _passes(self) -> None:
        while True:
            await self._awake.wait()
            self._awake.clear()
            if not self._followers:
                self.closed = True
                return
            beat, self._beat = self._beat, False
            self._look_at_gauges()
            followers = list(self._followers)
            for number, follower in enumerate(followers, 1):
                self._serve(follower, beat)
                if number % SLICE == 0:
                    await asyncio.sleep(0)
            await asyncio.sleep(PAUSE_PER_FOLLOWER_S * len(followers))

    def _look_at_gauges(self) -> None:
        newest = self._gauges.newest(self.job_id)
        if newest is None:
            self._gauge = None
        elif self._gauge is None or self._gauge[0] is not newest:
            self._gauge = (newest, unnumbered(newest))

    def _serve(self, follower: Follower, beat: bool) -> None:
        connection = follower.connection
        while not connection.clogged and follower.index < self._base + len(self._window):
            if follower.index < self._base:
                missed = e.Gap(time=time.time(), first=follower.at + 1, last=self._window[0].first - 1)
                connection.push(unnumbered(missed))
                follower.index = self._base
                continue
            piece = self._window[follower.index - self._base]
            connection.push(piece.chunk)
            follower.at, follower.index = piece.last, follower.index + 1
        if not connection.clogged:
            if self._gauge is not None and self._gauge[0] is not follower.gauge:
                follower.gauge = self._gauge[0]
                connection.push(self._gauge[1])
            elif beat:
                connection.push(as_chunk(b": still here\n\n"))
        if connection.lost or self._over(follower):
            follower.finish()

    def _over(self, follower: Follower) -> bool:
        view = self._store.get(self.job_id)
        return view.ended_already and follower.at >= view.last_event


class Streams:
    """All event streams: `open` of them, at most `limit`."""

    def __init__(self, store: Store, gauges: Gauges, stopping: asyncio.Event, limit: int = STREAMS) -> None:
        self.open = 0
        self.limit = limit
        self._store = store
        self._gauges = gauges
        self._stopping = stopping
        self._channels: dict[int, Channel] = {}
        self._running: set[asyncio.Task[None]] = set()
        self._read: collections.OrderedDict[tuple[int, int, int], list[Piece]] = collections.OrderedDict()
        self._reads = asyncio.Semaphore(READS_AT_ONCE)
        self._turns = asyncio.Semaphore(SLICE)

    def refuse_too_many(self) -> None:
        """Raises JobError (code too_many_streams)."""
        if self.open >= self.limit:
            raise JobError(
                f"{self.open} event streams are open, as many as the daemon takes",
                "Close some: `tunesmith daemon status` counts them.",
                "too_many_streams",
            )

    async def follow(self, connection: Connection, job_id: int, after: int) -> None:
        """Write all events above `after` as chunks, until the job has ended, the client is gone or the daemon stops."""
        self.open += 1
        try:
            connection.begin_stream()
            while not (connection.lost or self._stopping.is_set()):
                view = self._store.get(job_id)
                if view.ended_already and after >= view.last_event:
                    return
                channel = None if view.ended_already else self._channel(job_id)
                goal = view.last_event if channel is None else channel.at
                if channel is not None and after == goal:
                    return await channel.attend(connection, after)
                if after > goal:  # written a moment ago: the channel reads it next
                    await asyncio.sleep(SOON_S)
                    continue
                async with self._turns:
                    found = await self._replayed(job_id, after, goal)
                    for piece in found:
                        connection.push(piece.chunk)
                    after = found[-1].last
                    del found, piece  # not kept while a slow client reads
                    await asyncio.sleep(0)
                await connection.drained()
        finally:
            self.open -= 1

    async def _replayed(self, job_id: int, after: int, goal: int) -> list[Piece]:
        """The next events above `after`, at most to `goal`: ranges that a thousand who come at once have in common."""
        last = min(goal, (after // REPLAYED + 1) * REPLAYED)
        key = (job_id, after, last)
        if key not in self._read:
            async with self._reads:
                if key not in self._read:  # read meanwhile, for another
                    rows = await self._store.events(job_id, after, last - after)
                    self._read[key] = list(pieces(rows))
        self._read.move_to_end(key)
        while len(self._read) > BLOCKS_KEPT:
            self._read.popitem(last=False)
        return self._read[key]

    def _channel(self, job_id: int) -> Channel:
        channel = self._channels.get(job_id)
        if channel is None or channel.closed:
            channel = self._channels[job_id] = Channel(job_id, self._store, self._gauges, self._stopping)
            running = asyncio.create_task(self._run(channel))
            self._running.add(running)
            running.add_done_callback(self._running.discard)
        return channel

    async def _run(self, channel: Channel) -> None:
        try:
            await channel.run()
        except Exception:  # a disk that fails, say: the followers' connections end, and they come back
            log.exception("the events of job %d cannot be followed", channel.job_id)
        finally:
            if self._channels.get(channel.job_id) is channel:
                del self._channels[channel.job_id]
