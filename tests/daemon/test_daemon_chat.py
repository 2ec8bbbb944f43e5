"""Chatting through the daemon: engines' processes are started, kept, stopped and bounded."""

from __future__ import annotations

import asyncio
from pathlib import Path

import psutil
import pytest
from daemon_process import DaemonProcess

from tunesmith.daemon.api import images
from tunesmith.daemon.api.requests import Chat, ChatDelta, ChatDone, ChatEvent, ChatFailed, ChatMessage, ChatModel
from tunesmith.recipes.errors import TunesmithError

IMAGE = "data:image/png;base64,iVBORw0KGgo="


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
    return [int(line) for line in (folder / "engine-pids.txt").read_text().split()]


async def until_stopped(folder: Path) -> None:
    """Until the engine heard that an answer is wanted no more."""
    for _ in range(200):
        if (folder / "stopped.txt").exists():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("the engine never heard of it")


async def test_an_answer_streams_and_its_process_is_kept(daemon: DaemonProcess) -> None:
    folder = await with_gguf(daemon)
    for _ in range(2):
        events = [event async for event in daemon.client.chat(1, ask("who are you"))]
        assert events[:3] == [ChatDelta("who"), ChatDelta("are"), ChatDelta("you")]
        assert isinstance(events[3], ChatDone) and events[3].model == "model-q8_0"
        assert events[3].prompt_tokens > 0 and events[3].context_tokens > 0
    assert len(pids(folder)) == 1


async def test_hanging_up_stops_the_generation_and_keeps_the_model(daemon: DaemonProcess) -> None:
    folder = await with_gguf(daemon)
    stream = daemon.client.chat(1, ask("go slowly"))
    await anext(stream)
    await stream.aclose()  # type: ignore[attr-defined]
    await until_stopped(folder)
    assert isinstance([event async for event in daemon.client.chat(1, ask("again"))][-1], ChatDone)
    assert len(pids(folder)) == 1


async def test_questions_are_answered_beside_one_that_takes_long(daemon: DaemonProcess) -> None:
    await with_gguf(daemon)
    first = daemon.client.chat(1, ask("go slowly"))
    await anext(first)

    async def another() -> list[ChatEvent]:
        return [event async for event in daemon.client.chat(1, ask("me too"))]

    for answer in await asyncio.gather(*(another() for _ in range(6))):
        assert isinstance(answer[-1], ChatDone)
    await first.aclose()  # type: ignore[attr-defined]


@pytest.mark.parametrize("how", ["crash", "linger", "garbage"])
async def test_a_process_that_dies_is_said_and_replaced(daemon: DaemonProcess, how: str) -> None:
    """Also while it is still ending, and where it says what is no line of ours."""
    await with_gguf(daemon)
    pid = (await daemon.client.status()).pid
    events = [event async for event in daemon.client.chat(1, ask(how))]
    assert isinstance(events[-1], ChatFailed) and events[-1].code == "engine_died"
    assert isinstance([event async for event in daemon.client.chat(1, ask("again"))][-1], ChatDone)
    assert (await daemon.client.status()).pid == pid


async def test_all_who_asked_hear_that_it_died(daemon: DaemonProcess) -> None:
    await with_gguf(daemon)
    first = daemon.client.chat(1, ask("go slowly"))
    await anext(first)
    assert [event async for event in daemon.client.chat(1, ask("crash"))]
    last = [event async for event in first][-1]
    assert isinstance(last, ChatFailed) and last.code == "engine_died"


async def test_a_model_that_does_not_fit_is_refused_in_a_sentence(daemon: DaemonProcess) -> None:
    await with_gguf(daemon)
    daemon.room(host_free_bytes=10_000_000)
    (failed,) = [event async for event in daemon.client.chat(1, ask("hello"))]
    assert isinstance(failed, ChatFailed) and failed.code == "engine_does_not_fit"
    assert "of memory, of which" in failed.message and failed.hint


async def test_an_idle_process_is_ended(tmp_path: Path) -> None:
    daemon = DaemonProcess(tmp_path / "home", TUNESMITH_ENGINE_IDLE_S="0.2")
    await daemon.start()
    folder = await with_gguf(daemon)
    assert [event async for event in daemon.client.chat(1, ask("hello"))]
    for _ in range(200):
        if not psutil.pid_exists(pids(folder)[0]):
            break
        await asyncio.sleep(0.05)
    assert not psutil.pid_exists(pids(folder)[0])
    await daemon.tidy()


async def test_no_process_outlives_the_daemon(daemon: DaemonProcess) -> None:
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
    assert isinstance(events[-1], ChatDone) and events[-1].model == "base-q8_0"


async def test_an_image_goes_to_a_model_that_sees_where_it_stands(daemon: DaemonProcess) -> None:
    folder = await with_gguf(daemon)
    (daemon.home.job(1) / "base.txt").write_text("/models/base\n")
    asked = Chat((ChatMessage("user", "what is this", (IMAGE, IMAGE)),))
    with pytest.raises(TunesmithError, match="reads text alone") as caught:
        assert [event async for event in daemon.client.chat(1, asked)]
    assert caught.value.code == "media_unsupported" and "gguf-mmproj" in caught.value.hint
    assert await daemon.client.chat_model(1) == ChatModel("model-q8_0", images=False)
    (folder / "mmproj-f16.gguf").write_bytes(b"GGUF")
    assert await daemon.client.chat_model(1) == ChatModel("model-q8_0", images=True)
    assert await daemon.client.chat_model(1, base=True) == ChatModel("base-q8_0", images=True)
    events = [event async for event in daemon.client.chat(1, asked)]
    assert [event.text for event in events[:-1] if isinstance(event, ChatDelta)] == [
        "picture", "picture", "what", "is", "this"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("urls", "code"),
    [
        (("https://example.org/a.png",), "media_url"),
        (("data:image/gif;base64,AAAA",), "media"),
        ((IMAGE,) * (images.IMAGES + 1), "media"),
        ((IMAGE + "A" * images.REQUEST_BYTES,), "too_large"),
    ],
)
async def test_an_image_out_of_bounds_is_refused_before_a_model_is_loaded(
    daemon: DaemonProcess, urls: tuple[str, ...], code: str
) -> None:
    folder = await with_gguf(daemon)
    (folder / "mmproj-f16.gguf").write_bytes(b"GGUF")
    with pytest.raises(TunesmithError) as caught:
        assert [event async for event in daemon.client.chat(1, Chat((ChatMessage("user", "what", urls),)))]
    assert caught.value.code == code and not (folder / "engine-pids.txt").exists()


async def test_a_job_without_a_model_says_so(daemon: DaemonProcess) -> None:
    await daemon.submit("steps=1000 step=0.05")
    with pytest.raises(TunesmithError, match="no model"):
        assert [event async for event in daemon.client.chat(1, ask("hello"))]
