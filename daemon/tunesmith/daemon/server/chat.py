"""POST /v1/jobs/{id}/chat: an answer as server-sent events; hanging up stops the generation."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator

import msgspec
from starlette.responses import Response

from tunesmith.daemon.api.requests import Chat, ChatDelta, ChatDone, ChatEvent, ChatFailed
from tunesmith.daemon.server.endpoint import Call
from tunesmith.daemon.server.guard import BadRequest
from tunesmith.daemon.server.live import LiveStream
from tunesmith.daemon.server.parts import Parts
from tunesmith.daemon.serving import subjects
from tunesmith.daemon.serving.lines import Ended, Generate, Piece, Refused, Sampling
from tunesmith.daemon.serving.subjects import Subject
from tunesmith.recipes.errors import TunesmithError

TOKENS_LIMIT = 8192
TEMPERATURE_LIMIT = 5.0
ROLES = ("system", "user", "assistant")
TOP_K, TOP_P, MIN_P = 40, 0.95, 0.05  # llama.cpp's own defaults for sampling


async def chat(call: Call) -> Response:
    """Ask the tuned model, or with `base` the untuned one; hanging up stops the answer."""
    parts = call.parts
    places = parts.store.related(call.job_id)
    asked: Chat = call.body
    if not asked.messages or any(message.role not in ROLES for message in asked.messages):
        raise BadRequest("A chat has messages of the roles system, user and assistant", "Send at least one.")
    if not 1 <= asked.max_tokens <= TOKENS_LIMIT or not 0 <= asked.temperature <= TEMPERATURE_LIMIT:
        raise BadRequest("max_tokens or temperature is out of range", f"Give 1 to {TOKENS_LIMIT}, and 0 to 5.")
    # Here, while the reply can still be an error.
    subject = subjects.of_run(parts.home, places, subjects.BASE if asked.base else "")
    parts.engines.refuse_crowd()
    return LiveStream(_frames(parts, subject, asked))


async def _frames(parts: Parts, subject: Subject, asked: Chat) -> AsyncGenerator[bytes, None]:
    async with contextlib.aclosing(_answer(parts, subject, asked)) as events:
        async for event in events:
            yield b"data: " + msgspec.json.encode(event) + b"\n\n"


async def _answer(parts: Parts, subject: Subject, asked: Chat) -> AsyncGenerator[ChatEvent, None]:
    messages = tuple(msgspec.to_builtins(message) for message in asked.messages)
    sampling = Sampling(asked.max_tokens, asked.temperature, TOP_P, TOP_K, MIN_P, seed=asked.seed)

    def question(id: int) -> Generate:
        return Generate(id=id, sampling=sampling, messages=messages, adapter=subject.adapter)

    try:
        async with contextlib.aclosing(parts.engines.answer(subject, question)) as events:
            async for event in events:
                match event:
                    case Piece(text=text) if text:
                        yield ChatDelta(text)
                    case Ended():
                        yield ChatDone(event.tokens, event.tokens_per_second, event.finish_reason, subject.path.stem)
                    case Refused(code=code, message=message, hint=hint):
                        yield ChatFailed(code, message, hint)
    except TunesmithError as error:
        yield ChatFailed(error.code, error.message, error.hint)
