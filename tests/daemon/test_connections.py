"""Connections: whose are taken, how many, and how long a slow one is waited for."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import uvicorn

from tunesmith.daemon.api.requests import VERSION_HEADER
from tunesmith.daemon.server import connection as connections
from tunesmith.daemon.server.acceptor import Acceptor
from tunesmith.daemon.server.connection import Connection, end_slow
from tunesmith.daemon.server.listen import listening
from tunesmith.recipes.errors import ErrorBody

ASK = b"GET / HTTP/1.1\r\nHost: tunesmith\r\n\r\n"
Start = Callable[..., Awaitable[Path]]


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Answers with what it was sent; `/much` with more than any buffer holds."""
    size = 0
    while (message := await receive())["type"] == "http.request":
        size += len(message["body"])
        if not message["more_body"]:
            break
    else:
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for _ in range(100 if scope["path"] == "/much" else 1):
        body = b"x" * 100_000 if scope["path"] == "/much" else str(size).encode()
        await send({"type": "http.response.body", "body": body, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """Serves `application` on a socket with an Acceptor as given; gives its path."""
    ending: list[Callable[[], Awaitable[None]]] = []

    async def begin(**given: Any) -> Path:
        config = uvicorn.Config(application, http=Connection, ws="none", lifespan="off", log_config=None)
        config.load()
        server = uvicorn.Server(config)
        opened = server.server_state.connections
        taken = listening(tmp_path / "run" / "d.sock")
        acceptor = Acceptor(taken.__enter__(), lambda: Connection(config, server.server_state), opened, **given)
        acceptor.start()
        slow = asyncio.create_task(end_slow(opened))

        async def end() -> None:
            slow.cancel()
            acceptor.stop()
            for one in list(opened):
                one.transport.abort()
            taken.__exit__(None, None, None)
            await asyncio.sleep(0.05)

        ending.append(end)
        return tmp_path / "run" / "d.sock"

    yield begin
    for end in ending:
        await end()


async def asked(path: Path, request: bytes = ASK) -> bytes:
    """Everything that comes back until the other side closes, or b"" when it did so at once."""
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(request)
    try:
        return await asyncio.wait_for(whole(reader), 10)
    finally:
        writer.close()


async def whole(reader: asyncio.StreamReader) -> bytes:
    """Up to the end, also when the other side closed with something of ours unread."""
    found = b""
    try:
        while part := await reader.read(65_536):
            found += part
    except ConnectionError:
        pass
    return found


def error_in(reply: bytes) -> ErrorBody:
    head, _, body = reply.partition(b"\r\n\r\n")
    assert VERSION_HEADER.encode() in head
    return msgspec.json.decode(body, type=ErrorBody)


CLOSING = ASK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")


async def test_our_own_user_is_answered(start: Start) -> None:
    assert (await asked(await start(), CLOSING)).startswith(b"HTTP/1.1 200")


async def test_another_user_is_not_listened_to(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    path = await start()
    other = os.getuid() + 1
    monkeypatch.setattr(os, "getuid", lambda: other)
    assert await asked(path, CLOSING) == b""


async def test_one_connection_too_many_is_told_to_come_back(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "tunesmith.server")
    path = await start(limit=3)
    kept = [await asyncio.open_unix_connection(path) for _ in range(3)]
    replies = [await asked(path) for _ in range(20)]
    assert all(reply.startswith(b"HTTP/1.1 429") and b"Retry-After" in reply for reply in replies)
    assert error_in(replies[0]).code == "too_many_connections"
    assert len(caplog.records) == 1
    for _, writer in kept:
        writer.close()
    await asyncio.sleep(0.1)
    assert (await asked(path, CLOSING)).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    "part",
    [b"", b"GET / HTT", ASK[:-2], b"POST / HTTP/1.1\r\nHost: tunesmith\r\nContent-Length: 9\r\n\r\nhalf"],
    ids=["nothing", "half a line", "half a head", "half a body"],
)
async def test_a_request_that_does_not_arrive_is_given_up(
    start: Start, part: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "REQUEST_WITHIN_S", 0.3)
    reply = await asked(await start(), part)
    assert reply.startswith(b"HTTP/1.1 408") and error_in(reply).code == "too_slow"


async def test_drop_by_drop_is_too_slow_as_well(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "REQUEST_WITHIN_S", 0.5)
    reader, writer = await asyncio.open_unix_connection(await start())
    reply = asyncio.create_task(whole(reader))
    for drop in b"GET / HTTP/1.1\r\nHost: tunesmith\r\nX-Slow: " + b"x" * 100:
        if reply.done():
            break
        writer.write(bytes([drop]))
        await asyncio.sleep(0.05)
    assert (await asyncio.wait_for(reply, 5)).startswith(b"HTTP/1.1 408")
    writer.close()


async def test_a_reader_that_does_not_read_is_hung_up_on(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "READ_WITHIN_S", 0.3)
    reader, writer = await asyncio.open_unix_connection(await start(), limit=1000)
    writer.write(ASK.replace(b"/ ", b"/much "))
    await asyncio.sleep(2)
    assert len(await whole(reader)) < 10_000_000
    writer.close()


@pytest.mark.parametrize(
    "request_",
    [
        b"\x16\x03\x01\x02\x00\x01\x00", b"\r\n\r\n\r\n" + b"\0" * 50 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nHost: tunesmith\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", b"GET / HTTP/1.1\r\nX: " + b"x" * 40_000,
        b"POST / HTTP/1.1\r\nHost: tunesmith\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n",
    ],
    ids=["TLS", "zeros", "no host", "negative length", "two hosts", "endless head", "bad chunk"],
)  # fmt: skip
async def test_what_is_no_http_is_said_in_our_words(start: Start, request_: bytes) -> None:
    path = await start()
    reply = await asked(path, request_)
    assert reply.startswith(b"HTTP/1.1 400") and error_in(reply).code == "bad_http"
    assert (await asked(path, CLOSING)).startswith(b"HTTP/1.1 200")
