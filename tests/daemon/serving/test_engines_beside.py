"""Engines that are installed beside us, behind the daemon: started when there is room, watched, never left behind."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import engines_beside as beside
import httpx2
import openai
import pytest
from daemon_process import DaemonProcess
from engines_beside import GB, Record

from tunesmith.daemon.api import engines, settings
from tunesmith.daemon.api.requests import Serve
from tunesmith.recipes.errors import TunesmithError

GPU = {"device": "cuda", "memory_bytes": 24 * GB, "free_bytes": 20 * GB}


class World:
    """A daemon with real engines' processes, on whose PATH is a double of vLLM, and a model for it."""

    def __init__(self, folder: Path, tokenizer: Path, **how: Any) -> None:
        self.record = Record(folder / "record.jsonl")
        self.command = beside.install(folder / "bin", "vllm")
        self.model = beside.model_folder(folder / "model", tokenizer)
        self.daemon = DaemonProcess(
            folder / "home",
            TUNESMITH_ENGINE_MODULE="tunesmith.daemon.worker.serve",
            PATH=f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
            DOUBLE=json.dumps({"record": str(self.record.path), **how}),
        )
        self.daemon.room(**GPU)

    async def serve(self, **more: Any) -> Any:
        asked = {"name": "toy", "engine": "vllm", "context": 512, "slots": 2, **more}
        return await self.daemon.client.serve(Serve(str(self.model), **asked))

    async def ask(self, text: str = "Hello", **more: Any) -> str:
        client = httpx2.AsyncClient(transport=httpx2.AsyncHTTPTransport(uds=str(self.daemon.home.socket)))
        async with openai.AsyncOpenAI(
            base_url="http://tunesmith/v1", api_key="none", http_client=client, max_retries=0
        ) as one:
            asked: Any = {"model": "toy", "messages": [{"role": "user", "content": text}], "max_tokens": 4, **more}
            return (await one.chat.completions.create(**asked)).choices[0].message.content or ""


@pytest.fixture
async def world(request: pytest.FixtureRequest, tmp_path: Path, starter_tokenizer_folder: Path) -> AsyncIterator[World]:
    """Its parameter is how the double misbehaves."""
    made = World(tmp_path, starter_tokenizer_folder, **getattr(request, "param", {}))
    await made.daemon.start()
    yield made
    await made.daemon.tidy()
    assert made.record.gone(), "nothing of an engine outlives its daemon"


@pytest.mark.slow
async def test_one_that_is_on_path_answers_and_gives_its_memory_back_when_idle(world: World) -> None:
    serving = asyncio.create_task(world.serve(idle_s=0.2))
    await asyncio.to_thread(world.record.until, "started")
    loading = (await world.daemon.client.serving()).loading
    assert (loading[0].name, loading[0].engine) == ("toy", "vllm")
    assert (await serving).models[0].engine == "vllm" and (await world.daemon.client.serving()).loading == ()
    assert await world.ask()
    words = world.record.lines("started")[0]["started"]
    # 135 million parameters of 2 bytes, 23 MB for two conversations of 512, 3 GB beside them, of 24.
    assert words[words.index("--gpu-memory-utilization") + 1] == "0.138"
    assert await asyncio.to_thread(world.record.gone)


@pytest.mark.slow
@pytest.mark.parametrize("world", [dict(crash="answer")], indirect=True)
async def test_one_that_dies_in_an_answer_is_told_with_its_cause_and_started_again(world: World) -> None:
    await world.serve()
    pid = (await world.daemon.client.status()).pid
    for _ in range(2):
        with pytest.raises(openai.InternalServerError, match="CUDA out of memory") as caught:
            await world.ask(max_tokens=20)
        assert caught.value.code == "engine_died"
    assert len(world.record.pids) == 2 and (await world.daemon.client.status()).pid == pid


@pytest.mark.parametrize("world", [dict(crash="start", slow_s=0.5)], indirect=True)
async def test_one_that_ends_as_it_starts_is_refused_with_its_cause(world: World) -> None:
    with pytest.raises(TunesmithError, match="Free memory on device") as caught:
        await world.serve()
    assert caught.value.code == "engine_failed" and (await world.daemon.client.serving()).models == ()


@pytest.mark.slow
@pytest.mark.parametrize("who", ["daemon", "process"])
async def test_nothing_of_it_is_left_when_what_started_it_is_killed(world: World, who: str) -> None:
    await world.serve()
    (double,) = world.record.pids
    if who == "daemon":
        world.daemon.end(signal.SIGKILL)
    else:
        import psutil

        keeper = psutil.Process(double).parent()
        assert keeper is not None and keeper.parent() is not None
        os.kill(keeper.parent().pid, signal.SIGKILL)  # type: ignore[union-attr]
    assert await asyncio.to_thread(world.record.gone)


@pytest.mark.parametrize("world", [dict(slow_s=600)], indirect=True)
async def test_nothing_of_it_is_left_when_the_daemon_is_killed_while_it_loads(world: World) -> None:
    serving = asyncio.create_task(world.serve())
    await asyncio.to_thread(world.record.until, "started")
    world.daemon.end(signal.SIGKILL)
    assert await asyncio.to_thread(world.record.gone)
    await asyncio.gather(serving, return_exceptions=True)


async def test_what_does_not_fit_on_the_device_or_has_none_is_refused_before_it_starts(world: World) -> None:
    world.daemon.room(**GPU | {"free_bytes": 3 * GB})
    with pytest.raises(TunesmithError, match=r"of GPU memory, of which 3\.0 GB are free") as caught:
        await world.serve()
    assert caught.value.code == "engine_does_not_fit"
    with pytest.raises(TunesmithError, match="SGLang is not installed") as caught:
        await world.serve(engine="sglang")
    assert caught.value.code == "engine_missing" and "serve.sglang" in caught.value.hint
    beside.install(world.command.parent, "sglang")
    world.daemon.room()
    with pytest.raises(TunesmithError, match="this machine has cpu") as caught:
        await world.serve(engine="sglang")
    assert caught.value.code == "engine_device"
    assert world.record.pids == []


def test_a_setting_goes_before_our_own_environment_and_path(tmp_path: Path) -> None:
    row = engines.ENGINES["vllm"]
    named, on_path = (beside.install(tmp_path / where, "vllm") for where in ("named/bin", "path"))
    path = {"PATH": str(on_path.parent)}
    assert engines.found(row, "", path) == on_path
    assert engines.found(row, "", {"PATH": str(tmp_path)}) is None
    for said in (named, named.parent.parent):  # a command, or the folder of an environment
        assert engines.found(row, str(said), path) == named
    with pytest.raises(TunesmithError, match="nothing there can be run") as caught:
        engines.found(row, str(tmp_path / "gone"), path)
    assert caught.value.code == "engine_missing" and "settings set serve.vllm" in caught.value.hint


def test_where_an_engine_is_can_be_settled_and_taken_back(tmp_path: Path) -> None:
    from tunesmith.daemon.api.home import Home

    home, command = Home(tmp_path / "home"), beside.install(tmp_path / "bin", "vllm")
    settings.change(home, "serve.vllm", str(command), ("en",))
    assert settings.command_of(engines.ENGINES["vllm"], home, {}) == command
    assert settings.in_force(settings.read(home), {"TUNESMITH_SERVE_VLLM": "/x"})["serve.vllm"].by_environment
    with pytest.raises(settings.SettingsError):
        settings.change(home, "serve.vllm", str(tmp_path / "gone"), ("en",))
    settings.change(home, "serve.vllm", "", ("en",))
    assert settings.read(home) == settings.Settings() and "serve" not in json.loads(home.settings.read_text())
