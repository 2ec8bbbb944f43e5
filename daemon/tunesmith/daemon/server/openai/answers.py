"""Answers of an engine in OpenAI's words: several questions at once, merged as they come."""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import AsyncGenerator, Awaitable, Sequence

import msgspec
from starlette.responses import Response

from tunesmith.daemon.server.live import LiveStream
from tunesmith.daemon.server.openai import errors
from tunesmith.daemon.server.openai.told import CachedTokens, Usage
from tunesmith.daemon.serving.engines import Engines, Question
from tunesmith.daemon.serving.lines import Answer, Ended, Refused
from tunesmith.daemon.serving.subjects import Subject
from tunesmith.recipes.errors import DaemonError, ModelError, TunesmithError

Event = tuple[int, Answer]
Chunks = AsyncGenerator[object, None]
ENGINE_CODES = ("engine_died", "engine")
DONE = b"data: [DONE]\n\n"


async def merged(engines: Engines, subject: Subject, questions: Sequence[Question]) -> AsyncGenerator[Event, None]:
    """Events of all answers with the place of their question. Raises TunesmithError for the first that is refused."""
    engines.refuse_crowd(len(questions))
    events: asyncio.Queue[Event | TunesmithError | int] = asyncio.Queue()

    async def pump(place: int, question: Question) -> None:
        try:
            async with contextlib.aclosing(engines.answer(subject, question)) as answer:
                async for event in answer:
                    events.put_nowait(error_of(event) if isinstance(event, Refused) else (place, event))
        except TunesmithError as error:
            events.put_nowait(error)
        events.put_nowait(place)

    tasks = [asyncio.create_task(pump(place, question)) for place, question in enumerate(questions)]
    try:
        left = len(tasks)
        while left:
            match await events.get():
                case TunesmithError() as error:
                    raise error
                case int():
                    left -= 1
                case event:
                    yield event
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def error_of(refused: Refused) -> TunesmithError:
    kind = DaemonError if refused.code in ENGINE_CODES else ModelError
    return kind(refused.message, refused.hint, refused.code)


async def replied(making: Awaitable[object]) -> Response:
    """What was made as JSON, or why it was not."""
    try:
        return Response(msgspec.json.encode(await making), media_type="application/json")
    except TunesmithError as error:
        return errors.reply(error)


async def streamed(chunks: Chunks) -> Response:
    """As server-sent events; what is refused before anything was said is an error and no stream."""
    try:
        first = await anext(chunks)
    except TunesmithError as error:
        return errors.reply(error)
    except asyncio.CancelledError:
        await chunks.aclose()
        raise
    return LiveStream(_frames(first, chunks))


async def _frames(first: object, chunks: Chunks) -> AsyncGenerator[bytes, None]:
    try:
        async with contextlib.aclosing(chunks):
            yield _frame(first)
            async for chunk in chunks:
                yield _frame(chunk)
    except TunesmithError as error:
        yield _frame(errors.said(error, errors.status_of(error)))
    yield DONE


def _frame(chunk: object) -> bytes:
    return b"data: " + msgspec.json.encode(chunk) + b"\n\n"


def usage_of(ended: Sequence[Ended]) -> Usage:
    """Of one request: its prompt counts once, however many answers it had."""
    prompt = ended[0].prompt_tokens if ended else 0
    written = sum(one.tokens for one in ended)
    return Usage(prompt, written, prompt + written, CachedTokens(max((one.cached for one in ended), default=0)))


def new_id(kind: str) -> tuple[str, int]:
    """An id for a reply, and when it was made."""
    return f"{kind}-{uuid.uuid4().hex[:24]}", int(time.time())
