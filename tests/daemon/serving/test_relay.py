"""The port that a benchmark's tool asks through: for who has its token, for two routes, until the tool has ended."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import openai
import pytest
from daemon_process import DaemonProcess

from tunesmith.daemon.api.requests import Serve
from tunesmith.daemon.worker.suites import relay
from tunesmith.daemon.worker.suites.relay import Relay

WORD = {"model": "toy", "prompt": "a b", "max_tokens": 1}


@pytest.fixture
async def opened(daemon: DaemonProcess, tmp_path: Path) -> AsyncIterator[Relay]:
    (tmp_path / "toy.gguf").write_bytes(b"GGUF")
    await daemon.client.serve(Serve(str(tmp_path / "toy.gguf")))
    with relay.opened(daemon.home.socket) as one:
        yield one


async def post(one: Relay, path: str = "/v1/completions", body: object = WORD, **headers: str) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False) as client:
        given = {"Authorization": f"Bearer {one.token}"} | headers
        return await client.post(f"http://{one.host}{path}", json=body, headers=given)


async def test_a_client_is_answered_as_by_the_daemon_and_what_is_refused_is_counted(opened: Relay) -> None:
    async with openai.AsyncOpenAI(base_url=opened.url, api_key=opened.token, max_retries=0) as client:
        said = await client.completions.create(model="toy", prompt="a b", max_tokens=2)
        assert said.choices[0].text == "ab" and opened.refused == 0
        with pytest.raises(openai.BadRequestError, match="colour"):
            await client.completions.create(model="toy", prompt="a b", extra_body={"colour": "red"})
    assert opened.refused == 1 and opened.refusal is not None and "colour" in opened.refusal.message
    opened.begin()
    assert (opened.refused, opened.refusal) == (0, None)


async def test_nobody_else_gets_an_answer(opened: Relay) -> None:
    assert (await post(opened, Authorization="Bearer wrong")).status_code == 401
    assert (await post(opened, Origin="http://127.0.0.1")).status_code == 403
    assert (await post(opened, Referer="http://127.0.0.1/")).status_code == 403
    assert (await post(opened, Host="tunesmith")).status_code == 403
    for path in ("/v1/jobs", "/v1/daemon/stop", "/v1/completions/../jobs", "/v1/embeddings"):
        assert (await post(opened, path)).status_code == 404
    with socket.create_connection(("127.0.0.1", opened.server_port), timeout=10) as connection:
        head = f"POST /v1/completions HTTP/1.1\r\nHost: {opened.host}\r\nAuthorization: Bearer {opened.token}\r\n"
        connection.sendall(f"{head}Content-Length: {relay.BODY_BYTES + 1}\r\n\r\n".encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")
    async with httpx.AsyncClient(trust_env=False) as client:
        assert (await client.get(opened.url, headers={"Authorization": f"Bearer {opened.token}"})).status_code == 501
    assert opened.refused == 0, "none of these came to the model"


async def test_it_listens_on_the_loopback_alone_and_only_until_it_is_closed(opened: Relay) -> None:
    assert opened.socket.getsockname()[0] == "127.0.0.1"
    with relay.opened(opened.daemon_socket) as other:
        assert other.token != opened.token
        assert (await post(other)).status_code == 200
    with pytest.raises(OSError), socket.create_connection(("127.0.0.1", other.server_port), timeout=5):
        pass


async def test_connections_are_bounded(opened: Relay) -> None:
    held = [socket.create_connection(("127.0.0.1", opened.server_port), timeout=10) for _ in range(relay.CONNECTIONS)]
    with socket.create_connection(("127.0.0.1", opened.server_port), timeout=10) as one_too_many:
        assert await asyncio.to_thread(one_too_many.recv, 1) == b""
    for one in held:
        one.close()
    for _ in range(100):
        with contextlib.suppress(httpx.HTTPError):
            assert (await post(opened)).status_code == 200
            return
        await asyncio.sleep(0.05)
    raise AssertionError("nobody is let in any more")


async def test_a_daemon_that_is_started_again_is_waited_for(
    daemon: DaemonProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "AGAIN_S", 0.05)
    with relay.opened(daemon.home.socket) as one:
        daemon.end()
        asking = asyncio.create_task(post(one, body=WORD | {"model": "none"}))
        await asyncio.sleep(0.2)
        assert not asking.done()
        await daemon.start()
        assert (await asking).json()["error"]["code"] == "model_not_found"
        daemon.end()
        monkeypatch.setattr(relay, "BACK_WITHIN_S", -1.0)
        assert (await post(one)).status_code == 503, "a tool tries that again by itself"
