"""What a client says when the daemon is absent, silent or of another version."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tunesmith.daemon.api.client import Client, error_of
from tunesmith.daemon.api.find import ensure_daemon, running
from tunesmith.daemon.api.home import Home
from tunesmith.recipes.errors import DaemonError, TunesmithError


async def answering(socket: Path, reply: bytes) -> asyncio.Server:
    """A server on `socket` that answers every request with `reply` as JSON."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(reply)}\r\n\r\n"
        writer.write(head.encode() + reply)
        await writer.drain()
        writer.close()

    return await asyncio.start_unix_server(answer, socket)


async def test_no_socket_is_an_unreachable_daemon_with_a_way_out(tmp_path: Path) -> None:
    async with Client(tmp_path / "none.sock") as client:
        assert not await client.healthy()
        with pytest.raises(DaemonError) as caught:
            await client.status()
    assert caught.value.code == "unreachable"
    assert "tunesmith daemon start" in caught.value.hint


async def test_an_answer_of_another_version_says_so(tmp_path: Path) -> None:
    server = await answering(tmp_path / "d.sock", b'{"pid": "what"}')
    async with server, Client(tmp_path / "d.sock") as client:
        with pytest.raises(DaemonError) as caught:
            await client.status()
    assert caught.value.code == "version_mismatch"


async def test_nothing_is_started_when_that_was_not_asked(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    assert await running(home) is None
    with pytest.raises(DaemonError) as caught:
        await ensure_daemon(home, start=False)
    assert caught.value.code == "not_running"
    assert not home.root.exists()


def test_the_daemon_s_typed_error_arrives_as_it_was_sent() -> None:
    error = error_of(422, b'{"code": "data", "message": "empty", "hint": "add rows"}')
    assert (error.code, error.message, error.hint) == ("data", "empty", "add rows")


def test_an_answer_that_is_no_error_body_is_still_an_error() -> None:
    error = error_of(502, b"<html>")
    assert isinstance(error, TunesmithError)
    assert "502" in error.message


async def test_a_client_that_was_closed_meanwhile_says_that_the_daemon_does_not_answer(tmp_path: Path) -> None:
    client = Client(tmp_path / "d.sock")
    await client.close()
    assert not await client.healthy()
    with pytest.raises(DaemonError) as caught:
        await client.jobs()
    assert caught.value.code == "unreachable" and caught.value.hint
