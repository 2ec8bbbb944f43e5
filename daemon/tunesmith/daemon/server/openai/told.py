"""What is answered in OpenAI's interface."""

from __future__ import annotations

from typing import Literal

import msgspec


class Model(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    created: int
    object: Literal["model"] = "model"
    owned_by: str = "tunesmith"


class ModelList(msgspec.Struct, frozen=True):
    data: list[Model]
    object: Literal["list"] = "list"


class CachedTokens(msgspec.Struct, frozen=True):
    cached_tokens: int = 0


class Usage(msgspec.Struct, frozen=True):
    """`cached_tokens` of the prompt were computed for a question before."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: CachedTokens = CachedTokens()


class TopLogprob(msgspec.Struct, frozen=True):
    token: str
    logprob: float
    bytes: list[int]


class TokenLogprob(msgspec.Struct, frozen=True):
    token: str
    logprob: float
    bytes: list[int]
    top_logprobs: list[TopLogprob]


class ChatLogprobs(msgspec.Struct, frozen=True):
    content: list[TokenLogprob]
    refusal: None = None


class FunctionSaid(msgspec.Struct, frozen=True):
    name: str
    arguments: str


class ToolCallSaid(msgspec.Struct, frozen=True):
    id: str
    function: FunctionSaid
    type: Literal["function"] = "function"


class MessageSaid(msgspec.Struct, frozen=True, omit_defaults=True):
    content: str | None
    role: str
    tool_calls: list[ToolCallSaid] = []


class Choice(msgspec.Struct, frozen=True):
    index: int
    message: MessageSaid
    finish_reason: str
    logprobs: ChatLogprobs | None = None


class ChatCompletionSaid(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    created: int
    model: str
    choices: list[Choice]
    usage: Usage
    object: Literal["chat.completion"] = "chat.completion"


class ToolCallDelta(msgspec.Struct, frozen=True):
    index: int
    id: str
    function: FunctionSaid
    type: Literal["function"] = "function"


class Delta(msgspec.Struct, frozen=True, omit_defaults=True):
    role: str = ""
    content: str | None = None
    tool_calls: list[ToolCallDelta] = []


class ChoiceDelta(msgspec.Struct, frozen=True):
    index: int
    delta: Delta
    finish_reason: str | None = None
    logprobs: ChatLogprobs | None = None


class ChatChunk(msgspec.Struct, frozen=True, kw_only=True):
    """What an event of a stream carries; the last one is `[DONE]`, or an error in OpenAI's shape."""

    id: str
    created: int
    model: str
    choices: list[ChoiceDelta]
    usage: Usage | None = None
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"


class TextLogprobs(msgspec.Struct, frozen=True):
    tokens: list[str]
    token_logprobs: list[float | None]
    top_logprobs: list[dict[str, float] | None]
    text_offset: list[int]


class TextChoice(msgspec.Struct, frozen=True):
    index: int
    text: str
    finish_reason: str | None = None
    logprobs: TextLogprobs | None = None


class CompletionSaid(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    created: int
    model: str
    choices: list[TextChoice]
    usage: Usage | None = None
    object: Literal["text_completion"] = "text_completion"


class Vector(msgspec.Struct, frozen=True):
    """`embedding` is a list of numbers, or these as base64."""

    index: int
    embedding: list[float] | str
    object: Literal["embedding"] = "embedding"


class EmbeddingUsage(msgspec.Struct, frozen=True):
    prompt_tokens: int
    total_tokens: int


class EmbeddingsSaid(msgspec.Struct, frozen=True, kw_only=True):
    model: str
    data: list[Vector]
    usage: EmbeddingUsage
    object: Literal["list"] = "list"
