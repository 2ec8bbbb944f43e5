"""POST /v1/embeddings: texts as vectors of length 1."""

from __future__ import annotations

import base64
import contextlib
import struct
from collections.abc import Sequence

from starlette.types import ASGIApp

from tunesmith.daemon.server.endpoint import Call
from tunesmith.daemon.server.live import LiveReply
from tunesmith.daemon.server.openai import answers, bounds
from tunesmith.daemon.server.openai.asked import Embedding
from tunesmith.daemon.server.openai.completions import AT_ONCE
from tunesmith.daemon.server.openai.errors import WrongField
from tunesmith.daemon.server.openai.told import EmbeddingsSaid, EmbeddingUsage, Vector
from tunesmith.daemon.serving.engines import Engines
from tunesmith.daemon.serving.lines import Embed, Embedded
from tunesmith.daemon.serving.subjects import Subject


async def embeddings(call: Call) -> ASGIApp:
    """Give a text, or each of several, as a vector of length 1."""
    asked: Embedding = call.body
    subject = call.parts.served.find(asked.model, call.remote)
    texts = bounds.inputs(asked.input, "input")
    return LiveReply(answers.replied(_whole(call.parts.engines, subject, asked, texts)))


async def _whole(
    engines: Engines, subject: Subject, asked: Embedding, texts: Sequence[str | tuple[int, ...]]
) -> EmbeddingsSaid:
    found: dict[int, Embedded] = {}
    for start in range(0, len(texts), AT_ONCE):  # the engine embeds one after another anyway
        part = texts[start : start + AT_ONCE]
        questions = [lambda id, text=text: Embed(id, text, subject.adapter) for text in part]
        async with contextlib.aclosing(answers.merged(engines, subject, questions)) as events:
            async for place, event in events:
                if isinstance(event, Embedded):
                    found[start + place] = event
    vectors = [found[place] for place in range(len(texts))]
    if asked.dimensions is not None and asked.dimensions != len(vectors[0].vector):
        text = f"The vectors of this model have {len(vectors[0].vector)} numbers, and not {asked.dimensions}"
        raise WrongField("dimensions", text, "Leave dimensions out.")
    tokens = sum(one.tokens for one in vectors)
    data = [
        Vector(place, packed(one.vector) if asked.encoding_format == "base64" else list(one.vector))
        for place, one in enumerate(vectors)
    ]
    return EmbeddingsSaid(model=asked.model, data=data, usage=EmbeddingUsage(tokens, tokens))


def packed(vector: Sequence[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
