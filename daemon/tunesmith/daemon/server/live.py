"""Replies that end when their reader does: what makes them is stopped at once, at whatever byte the client hung up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from typing import Any

from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send


class LiveStream(StreamingResponse):
    """Server-sent events; closes its generator when the client has gone."""

    def __init__(self, content: AsyncGenerator[bytes, None]) -> None:
        super().__init__(content, media_type="text/event-stream", headers={"Cache-Control": "no-store"})
        self._content = content

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._content.aclose()


class LiveReply:
    """A reply that takes its time: `making` is cancelled when the client goes away before it is made."""

    def __init__(self, making: Coroutine[Any, Any, Response]) -> None:
        self._making = making

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        making = asyncio.ensure_future(self._making)
        gone = asyncio.ensure_future(_disconnected(receive))
        try:
            await asyncio.wait((making, gone), return_when=asyncio.FIRST_COMPLETED)
            if making.done():
                await making.result()(scope, receive, send)
        finally:
            for task in (making, gone):
                task.cancel()
            await asyncio.wait((making, gone))


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
