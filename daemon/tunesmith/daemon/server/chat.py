"""/v1/jobs/{id}/chat: what would answer, and its answer as server-sent events; hanging up stops the generation."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator
from typing import Any

import msgspec
from starlette.responses import Response

from tunesmith.daemon.api import images
from tunesmith.daemon.api.requests import (
    Chat,
    ChatCalled,
    ChatDelta,
    ChatDone,
    ChatEvent,
    ChatFailed,
    ChatModel,
    ChatQuery,
)
from tunesmith.daemon.api.tools import CalledFunction, ToolCall
from tunesmith.daemon.server.endpoint import Call
from tunesmith.daemon.server.guard import BadRequest, reply
from tunesmith.daemon.server.live import LiveStream
from tunesmith.daemon.server.openai import bounds
from tunesmith.daemon.server.openai.asked import ImagePart, MediaUrl, TextPart
from tunesmith.daemon.server.openai.chat import call_id
from tunesmith.daemon.server.parts import Parts
from tunesmith.daemon.serving import subjects
from tunesmith.daemon.serving.engines import Question
from tunesmith.daemon.serving.lines import Called, Ended, Generate, Piece, Refused, Sampling
from tunesmith.daemon.serving.subjects import Subject
from tunesmith.recipes.errors import TunesmithError

TOKENS_LIMIT = 8192
TEMPERATURE_LIMIT = 5.0
ROLES = ("system", "user", "assistant", "tool")
TOP_K, TOP_P, MIN_P = 40, 0.95, 0.05  # llama.cpp's own defaults for sampling


async def chat_model(call: Call) -> Response:
    """Say what would answer, and whether it takes images."""
    asked: ChatQuery = call.query
    subject = _subject(call, asked.base)
    return reply(ChatModel(subject.path.stem, subject.eyes is not None))


async def chat(call: Call) -> Response:
    """Ask the tuned model, or with `base` the untuned one; hanging up stops the answer."""
    parts = call.parts
    asked: Chat = call.body
    if not asked.messages or any(message.role not in ROLES for message in asked.messages):
        raise BadRequest("A chat has messages of the roles system, user, assistant and tool", "Send at least one.")
    if not 1 <= asked.max_tokens <= TOKENS_LIMIT or not 0 <= asked.temperature <= TEMPERATURE_LIMIT:
        raise BadRequest("max_tokens or temperature is out of range", f"Give 1 to {TOKENS_LIMIT}, and 0 to 5.")
    # Here, while the reply can still be an error.
    subject = _subject(call, asked.base)
    if subject.eyes is None and any(message.images for message in asked.messages):
        raise images.unsupported(call.job_id)
    wanted = question(asked, subject)
    parts.engines.refuse_crowd()
    return LiveStream(_frames(parts, subject, wanted))


def _subject(call: Call, base: bool) -> Subject:
    """Raises JobError."""
    places = call.parts.store.related(call.job_id)
    return subjects.of_run(call.parts.home, places, subjects.BASE if base else "")


def question(asked: Chat, subject: Subject) -> Question:
    """With its images and tools as /v1/chat/completions has them. Raises WrongField."""
    pictures: list[str] = []
    messages: list[dict[str, Any]] = []
    tools = bounds.tools_of(asked.tools)
    for place, message in enumerate(asked.messages):
        parts: list[TextPart | ImagePart] = [ImagePart(MediaUrl(url)) for url in message.images]
        parts.append(TextPart(message.content))
        content = bounds.content_of(parts, place, pictures, subject.eyes is not None)
        given: dict[str, Any] = {"role": message.role, "content": content}
        if message.tool_calls:
            given["tool_calls"] = [msgspec.to_builtins(one) for one in message.tool_calls]
        if message.tool_call_id:
            given["tool_call_id"] = message.tool_call_id
        messages.append(given)
    sampling = Sampling(asked.max_tokens, asked.temperature, TOP_P, TOP_K, MIN_P, seed=asked.seed)
    return lambda id: Generate(
        id=id, sampling=sampling, messages=tuple(messages), tools=tools, pictures=tuple(pictures),
        adapter=subject.adapter,
    )  # fmt: skip


async def _frames(parts: Parts, subject: Subject, wanted: Question) -> AsyncGenerator[bytes, None]:
    async with contextlib.aclosing(_answer(parts, subject, wanted)) as events:
        async for event in events:
            yield b"data: " + msgspec.json.encode(event) + b"\n\n"


async def _answer(parts: Parts, subject: Subject, wanted: Question) -> AsyncGenerator[ChatEvent, None]:
    try:
        async with contextlib.aclosing(parts.engines.answer(subject, wanted)) as events:
            async for event in events:
                match event:
                    case Piece(text=text) if text:
                        yield ChatDelta(text)
                    case Called(name=name, arguments=arguments):
                        yield ChatCalled(ToolCall(call_id(), CalledFunction(name, arguments)))
                    case Ended():
                        ready = parts.engines.loaded(subject.path)
                        yield ChatDone(
                            event.tokens, event.tokens_per_second, event.finish_reason, subject.path.stem,
                            event.prompt_tokens, ready.context_tokens if ready is not None else 0,
                        )  # fmt: skip
                    case Refused(code=code, message=message, hint=hint):
                        yield ChatFailed(code, message, hint)
    except TunesmithError as error:
        yield ChatFailed(error.code, error.message, error.hint)
