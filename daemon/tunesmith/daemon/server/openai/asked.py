"""What may be asked in OpenAI's interface: the fields we follow, with their bounds. Others are refused by name."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from tunesmith.daemon.api.tools import CALLS, TOOLS, CallId, Name, Tool, ToolCall

LONGEST_ANSWER = 8192  # tokens
ANSWER = 1024  # tokens where nobody says: a small model may never come to an end by itself
MESSAGES, STOPS, INPUTS, ANSWERS, TOP = 512, 8, 256, 8, 20

Tokens = Annotated[int, Meta(ge=1, le=LONGEST_ANSWER)]
Stops = (
    Annotated[str, Meta(min_length=1, max_length=200)]
    | Annotated[list[Annotated[str, Meta(min_length=1, max_length=200)]], Meta(max_length=STOPS)]
)
Penalty = Annotated[float, Meta(ge=-2, le=2)]
Share = Annotated[float, Meta(ge=0, le=1)]
Temperature = Annotated[float, Meta(ge=0, le=5)]
Seed = Annotated[int, Meta(ge=-(2**62), le=2**62)]
Answers = Annotated[int, Meta(ge=1, le=ANSWERS)]
TopK = Annotated[int, Meta(ge=0, le=1000)]


class TextPart(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="text"):
    text: str


class MediaUrl(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`url` is a data: URL; none is ever fetched."""

    url: str
    detail: str | None = None


class ImagePart(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="image_url"):
    image_url: MediaUrl


Content = str | Annotated[list[TextPart | ImagePart], Meta(max_length=64)]


class Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`developer` counts as system. `refusal` and `annotations` come with what our kind of server answers with."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: Content | None = None
    name: Annotated[str, Meta(max_length=100)] | None = None
    tool_calls: Annotated[list[ToolCall], Meta(max_length=CALLS)] | None = None
    tool_call_id: CallId | None = None
    reasoning_content: str | None = None
    refusal: None = None
    annotations: list[Any] | None = None
    audio: None = None
    function_call: None = None


class NamedFunction(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: Name


class NamedTool(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """This one must be called."""

    function: NamedFunction
    type: Literal["function"] = "function"


class JsonSchema(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: Name = "answer"
    schema: dict[str, Any] = {}
    description: str | None = None
    strict: bool | None = None


class PlainText(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="text"):
    """No form."""


class JsonObject(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="json_object"):
    """Any JSON object."""


class JsonOfSchema(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="json_schema"):
    json_schema: JsonSchema


class StreamOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`include_usage`: a last chunk without choices tells it. `include_obfuscation` is not followed."""

    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class ChatCompletion(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """POST /v1/chat/completions. `max_completion_tokens` goes before `max_tokens`; `top_k` and `min_p` are ours."""

    model: Name
    messages: Annotated[list[Message], Meta(min_length=1, max_length=MESSAGES)]
    max_tokens: Tokens | None = None
    max_completion_tokens: Tokens | None = None
    temperature: Temperature | None = None
    top_p: Share | None = None
    top_k: TopK | None = None
    min_p: Share | None = None
    n: Answers | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    stop: Stops | None = None
    seed: Seed | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=TOP)] | None = None
    response_format: PlainText | JsonObject | JsonOfSchema | None = None
    tools: Annotated[list[Tool], Meta(max_length=TOOLS)] | None = None
    tool_choice: Literal["auto", "none", "required"] | NamedTool | None = None
    parallel_tool_calls: bool | None = None
    user: Annotated[str, Meta(max_length=500)] | None = None


class Completion(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """POST /v1/completions. `prompt` is a text, a list of texts, or the same as tokens; `echo` gives it back first."""

    model: Name
    prompt: Any
    max_tokens: Annotated[int, Meta(ge=0, le=LONGEST_ANSWER)] | None = None
    temperature: Temperature | None = None
    top_p: Share | None = None
    top_k: TopK | None = None
    min_p: Share | None = None
    n: Answers | None = None
    best_of: Annotated[int, Meta(ge=1, le=1)] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    stop: Stops | None = None
    seed: Seed | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    logprobs: Annotated[int, Meta(ge=0, le=TOP)] | None = None
    echo: bool | None = None
    suffix: None = None
    user: Annotated[str, Meta(max_length=500)] | None = None


class Embedding(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """POST /v1/embeddings. `input` as the prompt of a completion; `base64` is float32, little-endian."""

    model: Name
    input: Any
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Annotated[int, Meta(ge=1, le=100_000)] | None = None
    user: Annotated[str, Meta(max_length=500)] | None = None
