"""The openai client, unchanged, against the daemon: over its socket and, when asked for, over TCP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import openai
import psutil
import pytest
from daemon_process import DaemonProcess

from tunesmith.daemon.api.requests import Serve, Serving
from tunesmith.daemon.server.openai import errors
from tunesmith.recipes.errors import ModelError, TunesmithError

TOOL: Any = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}


def said(text: str) -> Any:
    return [{"role": "user", "content": text}]


def over_the_socket(daemon: DaemonProcess) -> openai.AsyncOpenAI:
    transport = httpx2.AsyncHTTPTransport(uds=str(daemon.home.socket))
    client = httpx2.AsyncClient(transport=transport)
    return openai.AsyncOpenAI(base_url="http://tunesmith/v1", api_key="none", http_client=client, max_retries=0)


def over_tcp(serving: Serving, key: str | None = None) -> openai.AsyncOpenAI:
    token = Path(serving.token_file).read_text().strip() if key is None else key
    return openai.AsyncOpenAI(base_url=serving.url, api_key=token, max_retries=0)


@pytest.fixture
async def folder(daemon: DaemonProcess, tmp_path: Path) -> Path:
    """With a model that is served as `toy`."""
    (tmp_path / "toy.gguf").write_bytes(b"GGUF")
    await daemon.client.serve(Serve(str(tmp_path / "toy.gguf")))
    return tmp_path


@pytest.fixture
async def client(daemon: DaemonProcess, folder: Path) -> AsyncIterator[openai.AsyncOpenAI]:
    async with over_the_socket(daemon) as one:
        yield one


async def until(folder: Path, name: str) -> list[str]:
    """The lines of what the engine notes in the file of that name."""
    for _ in range(500):
        if (folder / name).exists():
            return (folder / name).read_text().split()
        await asyncio.sleep(0.02)
    raise AssertionError(f"the engine noted no {name}")


async def test_models_are_listed(client: openai.AsyncOpenAI) -> None:
    assert [model.id async for model in client.models.list()] == ["toy"]


async def test_a_chat_is_answered_whole_and_streamed(client: openai.AsyncOpenAI) -> None:
    whole = await client.chat.completions.create(model="toy", messages=said("a b c"), n=2, max_tokens=2, seed=1)
    assert [choice.message.content for choice in whole.choices] == ["ab", "ab"]
    assert whole.choices[0].finish_reason == "length" and whole.choices[0].message.role == "assistant"
    assert whole.usage is not None and (whole.usage.prompt_tokens, whole.usage.completion_tokens) == (3, 4)
    assert whole.usage.prompt_tokens_details is not None and whole.usage.prompt_tokens_details.cached_tokens == 2
    stream = await client.chat.completions.create(
        model="toy", messages=said("a b c"), stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks[:-1]) == "abc"
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].choices == [] and chunks[-1].usage is not None and chunks[-1].usage.total_tokens == 6


async def test_logprobs_tools_and_schemas_come_through(client: openai.AsyncOpenAI) -> None:
    told = await client.chat.completions.create(
        model="toy", messages=said("yes"), logprobs=True, top_logprobs=2, temperature=0, stop=["."]
    )
    logprobs = told.choices[0].logprobs
    assert logprobs is not None and logprobs.content is not None
    assert (logprobs.content[0].token, logprobs.content[0].logprob) == ("yes", -0.5)
    assert [top.token for top in logprobs.content[0].top_logprobs] == ["other0", "other1"]
    called = await client.chat.completions.create(model="toy", messages=said("go"), tools=[TOOL], tool_choice="auto")
    (call,) = called.choices[0].message.tool_calls or []
    assert call.type == "function" and (call.function.name, call.function.arguments) == ("weather", '{"toy": 1}')
    assert called.choices[0].finish_reason == "tool_calls" and called.choices[0].message.content is None
    again: Any = [*said("go"), called.choices[0].message, {"role": "tool", "tool_call_id": call.id, "content": "sun"}]
    assert (await client.chat.completions.create(model="toy", messages=again)).choices[0].message.content == "sun"
    large = {"type": "object", "properties": {"count": {"type": "integer", "maximum": 10**30}}}  # above 64 bits
    shape: Any = {"type": "json_schema", "json_schema": {"name": "x", "schema": large}}
    formed = await client.chat.completions.create(model="toy", messages=said("go"), response_format=shape)
    assert formed.choices[0].message.content == '{"toy":true}'
    stream = await client.chat.completions.create(model="toy", messages=said("go"), tools=[TOOL], stream=True)
    calls = [chunk.choices[0].delta.tool_calls async for chunk in stream if chunk.choices[0].delta.tool_calls]
    assert calls[0] is not None and calls[0][0].function is not None and calls[0][0].function.name == "weather"


async def test_texts_are_continued_and_embedded(client: openai.AsyncOpenAI) -> None:
    several = await client.completions.create(model="toy", prompt=["a b", "c"], max_tokens=5, logprobs=1, echo=False)
    assert [choice.text for choice in several.choices] == ["ab", "c"]
    assert several.choices[0].logprobs is not None and several.choices[0].logprobs.text_offset == [0, 1]
    tokens = await client.completions.create(model="toy", prompt=[5, 6], max_tokens=5, stream=True)
    assert "".join([chunk.choices[0].text async for chunk in tokens]) == "56"
    for encoding in ("float", "base64"):
        vectors = await client.embeddings.create(model="toy", input=["a", "b"], encoding_format=encoding)  # type: ignore[call-overload]
        assert len(vectors.data) == 2 and vectors.usage.prompt_tokens == 2
    plain = await client.embeddings.create(model="toy", input="a")  # the client asks for base64 by itself
    assert plain.data[0].embedding == pytest.approx([0.6, 0.8])


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"max_tokens": 100_000}, "max_tokens"), ({"n": 9}, "n"), ({"temperature": -1}, "temperature"),
        ({"stop": ["x"] * 9}, "stop"), ({"top_logprobs": 2}, "top_logprobs"), ({"logit_bias": {"1": 2}}, "logit_bias"),
        ({"tool_choice": "required"}, "tool_choice"), ({"messages": []}, "messages"),
        ({"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"e": ["x" * 40_000]}}}},
         "response_format.json_schema.schema"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}]}]},
         "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,x"}}]}]},
         "messages[0].content"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"), ({"messages": [{"role": "boss"}]}, "messages"),
    ],
)  # fmt: skip
async def test_what_is_out_of_bounds_is_refused_by_the_field_s_name(
    client: openai.AsyncOpenAI, wrong: dict[str, Any], field: str
) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        asked: Any = {"model": "toy", "messages": said("x")} | wrong
        await client.post("/chat/completions", body=asked, cast_to=object)
    error: Any = caught.value.body
    assert field in (error["param"] or "") and error["message"] and error["type"] == "invalid_request_error"


async def test_an_unknown_model_is_not_found_and_the_nearest_named(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="Did you mean 'toy'") as caught:
        await client.chat.completions.create(model="toys", messages=said("x"))
    assert caught.value.code == "model_not_found"


async def test_an_engine_that_dies_is_told_and_started_again(
    daemon: DaemonProcess, client: openai.AsyncOpenAI, folder: Path
) -> None:
    pid = (await daemon.client.status()).pid
    with pytest.raises(openai.InternalServerError) as caught:
        await client.chat.completions.create(model="toy", messages=said("crash"))
    assert caught.value.code == "engine_died"
    slow = await client.chat.completions.create(model="toy", messages=said("slowly"), stream=True)
    await anext(slow)
    with pytest.raises(openai.APIStatusError):
        await client.chat.completions.create(model="toy", messages=said("crash"))
    with pytest.raises(openai.APIError, match="ended"):  # in the middle of the stream
        assert [chunk async for chunk in slow]
    assert (await client.chat.completions.create(model="toy", messages=said("again"))).choices[0].message.content
    assert len(await until(folder, "engine-pids.txt")) == 3
    assert (await daemon.client.status()).pid == pid


@pytest.mark.parametrize("stream", [True, False])
async def test_a_client_that_goes_away_frees_its_place(daemon: DaemonProcess, folder: Path, stream: bool) -> None:
    """At whatever byte: before, in and after the head of the reply."""
    for stop_after in (0, 1, 200, 1000):
        (folder / "stopped.txt").unlink(missing_ok=True)
        body = b'{"model": "toy", "messages": [{"role": "user", "content": "slowly"}], "stream": %s}' % (
            b"true" if stream else b"false"
        )
        reader, writer = await asyncio.open_unix_connection(str(daemon.home.socket))
        head = "POST /v1/chat/completions HTTP/1.1\r\nHost: tunesmith\r\nContent-Type: application/json\r\n"
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        await writer.drain()
        if stream:
            await reader.readexactly(stop_after)
        else:
            await asyncio.sleep(0.3)
        writer.close()
        if stream or stop_after == 0:
            assert await until(folder, "stopped.txt")
        if not stream:
            break


async def test_thirty_two_streams_at_once_all_come_to_their_end(client: openai.AsyncOpenAI) -> None:
    async def one(number: int) -> str:
        stream = await client.chat.completions.create(model="toy", messages=said(f"{number} is it"), stream=True)
        return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

    assert await asyncio.gather(*map(one, range(32))) == [f"{number}isit" for number in range(32)]


async def test_the_sixty_fifth_question_is_asked_to_come_back(client: openai.AsyncOpenAI) -> None:
    async def wait() -> None:
        await client.chat.completions.create(model="toy", messages=said("slowly"), n=8, max_tokens=2000)

    waiting = [asyncio.create_task(wait()) for _ in range(8)]
    await asyncio.sleep(1)
    with pytest.raises(openai.RateLimitError) as caught:
        await client.chat.completions.create(model="toy", messages=said("x"))
    assert caught.value.response.headers["retry-after"]
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


async def test_a_model_that_cannot_be_loaded_is_refused_when_it_is_served(
    daemon: DaemonProcess, tmp_path: Path
) -> None:
    (tmp_path / "broken.gguf").write_bytes(b"GGUF")
    with pytest.raises(TunesmithError, match="toy is broken"):
        await daemon.client.serve(Serve(str(tmp_path / "broken.gguf")))
    with pytest.raises(TunesmithError, match="no model at"):
        await daemon.client.serve(Serve(str(tmp_path / "gone.gguf")))
    assert (await daemon.client.serving()).models == ()


async def test_adapters_are_asked_by_their_names(
    daemon: DaemonProcess, folder: Path, client: openai.AsyncOpenAI
) -> None:
    (folder / "tuned").mkdir()
    served = await daemon.client.serve(Serve(str(folder / "toy.gguf"), adapters={"tuned": str(folder / "tuned")}))
    assert {model.name: model.adapter for model in served.models} == {"toy": "", "tuned": str(folder / "tuned")}
    assert (await client.chat.completions.create(model="tuned", messages=said("x"))).choices[0].message.content == "x"
    assert len(await until(folder, "engine-pids.txt")) == 1


async def test_four_models_at_most_and_the_oldest_goes(daemon: DaemonProcess, folder: Path) -> None:
    for number in range(4):
        (folder / f"m{number}").mkdir()
        (folder / f"m{number}" / "one.gguf").write_bytes(b"GGUF")
        await daemon.client.serve(Serve(str(folder / f"m{number}" / "one.gguf"), name=f"m{number}"))
    (first,) = await until(folder, "engine-pids.txt")
    assert not psutil.pid_exists(int(first))
    loaded = {model.name: model.loaded for model in (await daemon.client.serving()).models}
    assert loaded == {"toy": False, "m0": True, "m1": True, "m2": True, "m3": True}


async def test_an_idle_model_gives_way_to_one_that_does_not_fit_beside_it(daemon: DaemonProcess, folder: Path) -> None:
    (folder / "other").mkdir()
    (folder / "other" / "one.gguf").write_bytes(b"GGUF")
    daemon.room(host_free_bytes=400_000_000)  # each takes 70 MB, and 300 are left for everything else
    await daemon.client.serve(Serve(str(folder / "other" / "one.gguf")))
    (first,) = await until(folder, "engine-pids.txt")
    assert not psutil.pid_exists(int(first))
    daemon.room(host_free_bytes=10_000_000)
    with pytest.raises(TunesmithError, match="of memory, of which") as caught:
        await daemon.client.serve(Serve(str(folder / "toy.gguf")))
    assert caught.value.code == "engine_does_not_fit"


def test_a_prompt_that_is_too_long_has_the_code_by_which_clients_know_that() -> None:
    """EvalScope takes that question for wrong and goes on; any other error would end the whole benchmark."""
    told = errors.said(ModelError("The text has 5000 tokens", "Ask with a shorter text.", "context_full"), 400)
    assert told.error.code == "context_length_exceeded"
