"""POST /v1/jobs/{id}/chat: an answer as server-sent events; hanging up stops the generation."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator

import msgspec
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from tunesmith.daemon.api.requests import Chat
from tunesmith.daemon.server.endpoint import Call
from tunesmith.daemon.server.guard import BadRequest
from tunesmith.daemon.server.parts import Parts

TOKENS_LIMIT = 8192
TEMPERATURE_LIMIT = 5.0
ROLES = ("system", "user", "assistant")


class ChatStream(StreamingResponse):
    """Closes its generator when the client has gone, at once: that ends the generation."""

    def __init__(self, content: AsyncGenerator[bytes, None]) -> None:
        super().__init__(content, media_type="text/event-stream", headers={"Cache-Control": "no-store"})
        self._content = content

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._content.aclose()


async def chat(call: Call) -> Response:
    """Ask the tuned model, or with `base` the untuned one; hanging up stops the answer."""
    parts = call.parts
    job_id = parts.store.get(call.job_id).id
    asked: Chat = call.body
    if not asked.messages or any(message.role not in ROLES for message in asked.messages):
        raise BadRequest("A chat has messages of the roles system, user and assistant", "Send at least one.")
    if not 1 <= asked.max_tokens <= TOKENS_LIMIT or not 0 <= asked.temperature <= TEMPERATURE_LIMIT:
        raise BadRequest("max_tokens or temperature is out of range", f"Give 1 to {TOKENS_LIMIT}, and 0 to 5.")
    parts.chats.check(job_id, asked.base)  # here, while the reply can still be an error
    return ChatStream(_frames(parts, job_id, asked))


async def _frames(parts: Parts, job_id: int, asked: Chat) -> AsyncGenerator[bytes, None]:
    async with contextlib.aclosing(parts.chats.answer(job_id, asked)) as events:
        async for event in events:
            yield b"data: " + msgspec.json.encode(event) + b"\n\n"
