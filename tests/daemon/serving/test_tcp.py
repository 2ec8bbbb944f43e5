"""TCP: nothing listens by itself; when asked, only the loopback does, and only who knows the token gets an answer."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import openai
import psutil
import pytest
from daemon_process import DaemonProcess

from tunesmith.daemon.api.requests import Serve, Serving
from tunesmith.recipes.errors import TunesmithError


def listening(daemon: DaemonProcess) -> list[str]:
    assert daemon.process is not None
    found = psutil.Process(daemon.process.pid).net_connections("inet")
    return [one.laddr.ip for one in found if one.status == psutil.CONN_LISTEN]


@pytest.fixture
async def serving(daemon: DaemonProcess, tmp_path: Path) -> AsyncIterator[Serving]:
    (tmp_path / "toy.gguf").write_bytes(b"GGUF")
    yield await daemon.client.serve(Serve(str(tmp_path / "toy.gguf"), port=0))


def headers(serving: Serving, **more: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {Path(serving.token_file).read_text().strip()}", **more}


async def test_after_a_start_nothing_listens_and_after_the_end_nothing_does(
    daemon: DaemonProcess, tmp_path: Path
) -> None:
    assert listening(daemon) == []
    (tmp_path / "toy.gguf").write_bytes(b"GGUF")
    served = await daemon.client.serve(Serve(str(tmp_path / "toy.gguf")))
    assert served.url == "" and listening(daemon) == []
    served = await daemon.client.serve(Serve(str(tmp_path / "toy.gguf"), port=0))
    assert served.url.startswith("http://127.0.0.1:")
    for _ in range(600):  # the system's list is not whole while others open and close sockets
        if listening(daemon):
            break
        await asyncio.sleep(0.05)
    assert listening(daemon) == ["127.0.0.1"]
    again = await daemon.client.serve(Serve(str(tmp_path / "toy.gguf"), port=0))
    assert again.url == served.url
    ended = await daemon.client.unserve()
    assert (ended.models, ended.url) == ((), "") and listening(daemon) == []


async def test_the_client_of_openai_works_with_the_token_and_without_it_does_not(serving: Serving) -> None:
    token = Path(serving.token_file).read_text().strip()
    async with openai.AsyncOpenAI(base_url=serving.url, api_key=token, max_retries=0) as client:
        answer = await client.chat.completions.create(model="toy", messages=[{"role": "user", "content": "hi"}])
        assert answer.choices[0].message.content == "hi"
    for wrong in (token[:-1], token + "x", "x"):
        async with openai.AsyncOpenAI(base_url=serving.url, api_key=wrong, max_retries=0) as client:
            with pytest.raises(openai.AuthenticationError):
                await client.models.list()


def test_the_token_is_our_user_s_alone_and_stays_the_same(serving: Serving) -> None:
    found = Path(serving.token_file).stat()
    assert stat.S_IMODE(found.st_mode) == 0o600 and found.st_uid == os.getuid()
    assert len(Path(serving.token_file).read_text().strip()) == 43


async def test_a_token_that_others_can_read_is_refused(daemon: DaemonProcess, tmp_path: Path) -> None:
    daemon.home.token.write_text("x" * 43)
    daemon.home.token.chmod(0o644)
    (tmp_path / "toy.gguf").write_bytes(b"GGUF")
    with pytest.raises(TunesmithError, match="Others can read"):
        await daemon.client.serve(Serve(str(tmp_path / "toy.gguf"), port=0))
    assert listening(daemon) == []


@pytest.mark.parametrize(
    "header", [{"Origin": "http://127.0.0.1"}, {"Origin": "null"}, {"Referer": "http://localhost/"},
               {"Host": "evil.example"}, {"Host": "127.0.0.1"}, {"Host": "tunesmith"}],
)  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
async def test_what_a_web_page_could_have_caused_is_refused(
    serving: Serving, header: dict[str, str], method: str
) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        response = await client.request(method, f"{serving.url}/models", headers=headers(serving, **header))
    assert response.status_code == 403 and response.json()["error"]["code"] == "foreign_request"
    assert not [name for name in response.headers if name.startswith("access-control")]


@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Basic eDp5", 'Bearer ""', "bearer \u00e4"])
async def test_without_the_token_there_is_no_answer(serving: Serving, authorization: str | None) -> None:
    given = {} if authorization is None else {"Authorization": authorization.encode("latin-1")}
    async with httpx.AsyncClient(trust_env=False) as client:
        response = await client.get(f"{serving.url}/models", headers=given)  # type: ignore[arg-type]
    assert response.status_code == 401 and response.json()["error"]["code"] == "invalid_api_key"


@pytest.mark.parametrize("path", ["/jobs", "/daemon", "/daemon/stop", "/serve", "/jobs/1/chat", "/openapi.json", "/"])
async def test_only_models_can_be_asked_over_it(serving: Serving, path: str) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        for method in ("GET", "POST", "DELETE"):
            response = await client.request(method, f"{serving.url}{path}", headers=headers(serving))
            assert response.status_code == 404 and response.json()["error"]["code"] == "unknown_path"


async def test_runs_that_nobody_serves_cannot_be_asked_over_it(daemon: DaemonProcess, serving: Serving) -> None:
    view = await daemon.submit("steps=1")
    await daemon.until(view.id, "finished")
    (daemon.home.job(view.id) / "artifacts").mkdir()
    (daemon.home.job(view.id) / "artifacts" / "model-q8_0.gguf").write_bytes(b"GGUF")
    async with httpx.AsyncClient(trust_env=False) as client:
        listed = await client.get(f"{serving.url}/models", headers=headers(serving))
        assert [model["id"] for model in listed.json()["data"]] == ["toy"]
        body = {"model": f"run-{view.id}", "messages": [{"role": "user", "content": "x"}]}
        asked = await client.post(f"{serving.url}/chat/completions", headers=headers(serving), json=body)
        assert asked.status_code == 404
    transport = httpx.AsyncHTTPTransport(uds=str(daemon.home.socket))
    async with httpx.AsyncClient(transport=transport, base_url="http://tunesmith") as client:
        listed = await client.get("/v1/models")
        assert [model["id"] for model in listed.json()["data"]] == ["toy", f"run-{view.id}"]


async def test_a_port_that_is_taken_is_said(daemon: DaemonProcess, serving: Serving, tmp_path: Path) -> None:
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(TunesmithError, match=f"Port {port} cannot be taken"):
        await daemon.client.serve(Serve(str(tmp_path / "toy.gguf"), port=port))
    assert (await daemon.client.serving()).url == serving.url
    server.close()
