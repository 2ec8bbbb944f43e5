"""What a client makes of a stream with a gap, of a daemon of another version, and of a lost connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from tunesmith.daemon.api import events as e
from tunesmith.daemon.api.client import Client
from tunesmith.daemon.api.view import JobView, fold
from tunesmith.recipes.errors import DaemonError, TunesmithError

HISTORY: list[e.Event] = [
    e.Queued(time=1.0),
    e.Started(time=2.0, attempt=1, pid=3),
    e.Notice(time=3.0, level="info", text="missed"),
    e.Finished(time=4.0, seconds=1.0),
]
GAP = e.Gap(time=3.5, first=2, last=3)


def whole() -> JobView:
    view = JobView(1, "toy")
    for number, event in enumerate(HISTORY, 1):
        view = fold(view, e.Numbered(number, event))
    return view


def frames(*numbers: int) -> bytes:
    return b"".join(b"id: %d\ndata: %s\n\n" % (number, e.encode(HISTORY[number - 1])) for number in numbers)


def with_a_gap(path: str, after: int) -> tuple[str, bytes]:
    """A daemon that found us too slow the first time, and sends all of it when asked again."""
    if path != "/v1/jobs/1/events":
        return "application/json", msgspec.json.encode(whole())
    if after > 0:
        return "text/event-stream", frames(*range(after + 1, 5))
    return "text/event-stream", frames(1) + b"data: %s\n\n" % e.encode(GAP) + frames(4)


@asynccontextmanager
async def daemon(tmp_path: Path, answer: Callable[[str, int], tuple[str, bytes]]) -> AsyncIterator[Client]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        after = next((int(line[15:]) for line in head.splitlines() if line.lower().startswith("last-event-id:")), 0)
        kind, body = answer(head.split()[1], after)
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n".encode())
        writer.write(b"Tunesmith-API-Version: 1\r\nConnection: close\r\n\r\n" + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_unix_server(serve, tmp_path / "d.sock")
    async with server, Client(tmp_path / "d.sock") as client:
        yield client


async def test_what_was_left_out_is_fetched(tmp_path: Path) -> None:
    async with daemon(tmp_path, with_a_gap) as client:
        seen = [numbered async for numbered in client.events(1)]
    assert [numbered.number for numbered in seen] == [1, 2, 3, 4]
    assert [numbered.event for numbered in seen] == HISTORY


async def test_whoever_can_do_without_is_told_of_the_gap(tmp_path: Path) -> None:
    async with daemon(tmp_path, with_a_gap) as client:
        seen = [(numbered.number, numbered.event) async for numbered in client.events(1, gaps=True)]
    assert seen == [(1, HISTORY[0]), (1, GAP), (4, HISTORY[3])]


async def test_a_watched_view_is_whole_again_after_a_gap(tmp_path: Path) -> None:
    async with daemon(tmp_path, with_a_gap) as client:
        views = [fold(JobView(1, "toy"), numbered) async for numbered in client.events(1, gaps=True)]
        assert views[1].missed == (2, 3)
        seen = [view async for view in client.watch(1)]
    assert seen[-1] == whole() and seen[-1].missed is None


def test_a_gap_that_was_folded_in_already_is_none() -> None:
    assert fold(whole(), e.Numbered(4, GAP)) == whole()


async def test_a_daemon_of_another_version_is_said_and_can_be_stopped(tmp_path: Path) -> None:
    body = b'{"ok": true}'
    head = (
        b"HTTP/1.1 200 OK\r\nTunesmith-API-Version: 7\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    )

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readuntil(b"\r\n\r\n"):
            writer.write(head % len(body) + body)

    server = await asyncio.start_unix_server(serve, tmp_path / "d.sock")
    async with server, Client(tmp_path / "d.sock") as client:
        assert await client.healthy()
        with pytest.raises(DaemonError) as caught:
            await client.jobs()
        assert caught.value.code == "version_mismatch" and "version 7" in caught.value.message
        with pytest.raises(DaemonError) as caught:
            await anext(client.events(1))
        assert caught.value.code == "version_mismatch"
        await client.stop()


async def test_a_stream_that_never_comes_back_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tunesmith.daemon.api.client.RECONNECT_FOR_S", 0.5)
    async with Client(tmp_path / "none.sock") as client:
        with pytest.raises(TunesmithError) as caught:
            await anext(client.events(1))
    assert caught.value.code == "unreachable"
