"""Chatting through the daemon: children are started, kept, stopped and bounded."""

from __future__ import annotations

import asyncio
from pathlib import Path

import psutil
import pytest
from daemon_process import DaemonProcess

from tunesmith.daemon.api.requests import Chat, ChatDelta, ChatDone, ChatEvent, ChatFailed, ChatMessage
from tunesmith.recipes.errors import TunesmithError


def ask(text: str, base: bool = False) -> Chat:
    return Chat((ChatMessage("user", text),), base=base)


async def with_gguf(daemon: DaemonProcess) -> Path:
    """The folder of a finished job that has a GGUF."""
    view = await daemon.submit("steps=1")
    await daemon.until(view.id, "finished")
    folder = daemon.home.job(view.id) / "artifacts"
    folder.mkdir()
    (folder / "model-q8_0.gguf").write_bytes(b"GGUF")
    return folder


def pids(folder: Path) -> list[int]:
    return [int(line) for line in (folder / "chat-pids.txt").read_text().split()]


async def test_an_answer_streams_and_its_child_is_kept(daemon: DaemonProcess) -> None:
    folder = await with_gguf(daemon)
    for _ in range(2):
        events = [event async for event in daemon.client.chat(1, ask("who are you"))]
        assert events[:3] == [ChatDelta("who"), ChatDelta("are"), ChatDelta("you")]
        assert isinstance(events[3], ChatDone) and events[3].model == "model-q8_0.gguf"
    assert len(pids(folder)) == 1


async def test_hanging_up_stops_the_generation(daemon: DaemonProcess) -> None:
    folder = await with_gguf(daemon)
    stream = daemon.client.chat(1, ask("go slowly"))
    await anext(stream)
    await stream.aclose()  # type: ignore[attr-defined]
    for _ in range(100):
        if not psutil.pid_exists(pids(folder)[0]):
            break
        await asyncio.sleep(0.02)
    assert not psutil.pid_exists(pids(folder)[0])
    assert isinstance([event async for event in daemon.client.chat(1, ask("again"))][-1], ChatDone)


async def test_whoever_waits_behind_one_that_hangs_up_still_gets_an_answer(daemon: DaemonProcess) -> None:
    await with_gguf(daemon)
    first = daemon.client.chat(1, ask("go slowly"))
    await anext(first)

    async def second() -> list[ChatEvent]:
        return [event async for event in daemon.client.chat(1, ask("me too"))]

    waiting = asyncio.create_task(second())
    await asyncio.sleep(0.2)
    await first.aclose()  # type: ignore[attr-defined]
    assert isinstance((await waiting)[-1], ChatDone)


@pytest.mark.parametrize("how", ["crash", "linger"])
async def test_a_child_that_dies_is_said_and_replaced(daemon: DaemonProcess, how: str) -> None:
    """Also while its process is still ending."""
    await with_gguf(daemon)
    events = [event async for event in daemon.client.chat(1, ask(how))]
    assert isinstance(events[-1], ChatFailed) and events[-1].code == "chat_died"
    assert isinstance([event async for event in daemon.client.chat(1, ask("again"))][-1], ChatDone)


async def test_at_most_two_children_are_kept(daemon: DaemonProcess) -> None:
    folders = [await with_gguf(daemon) for _ in range(3)]
    for number in (1, 2, 3):
        assert [event async for event in daemon.client.chat(number, ask("hello"))]
    alive = [psutil.pid_exists(pids(folder)[0]) for folder in folders]
    assert alive == [False, True, True]


async def test_an_idle_child_is_ended(tmp_path: Path) -> None:
    daemon = DaemonProcess(tmp_path / "home", TUNESMITH_CHAT_IDLE_S="0.2")
    await daemon.start()
    folder = await with_gguf(daemon)
    assert [event async for event in daemon.client.chat(1, ask("hello"))]
    await asyncio.sleep(1)
    assert not psutil.pid_exists(pids(folder)[0])
    await daemon.tidy()


async def test_no_child_outlives_the_daemon(daemon: DaemonProcess) -> None:
    folder = await with_gguf(daemon)
    assert [event async for event in daemon.client.chat(1, ask("hello"))]
    daemon.end()
    assert not psutil.pid_exists(pids(folder)[0])


async def test_the_base_model_is_converted_from_where_it_was_fetched(daemon: DaemonProcess) -> None:
    await with_gguf(daemon)
    with pytest.raises(TunesmithError, match="base model"):
        assert [event async for event in daemon.client.chat(1, ask("hello", base=True))]
    (daemon.home.job(1) / "base.txt").write_text("/models/base\n")
    events = [event async for event in daemon.client.chat(1, ask("hello", base=True))]
    assert isinstance(events[-1], ChatDone) and events[-1].model == "base-q8_0.gguf"


async def test_a_job_without_a_model_says_so(daemon: DaemonProcess) -> None:
    await daemon.submit("steps=1000 step=0.05")
    with pytest.raises(TunesmithError, match="no GGUF"):
        assert [event async for event in daemon.client.chat(1, ask("hello"))]
