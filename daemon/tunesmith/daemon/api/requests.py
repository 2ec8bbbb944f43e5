"""What may be asked of the daemon and what it answers; unknown fields are refused on both sides."""

from __future__ import annotations

from typing import Annotated

import msgspec

from tunesmith.daemon.api.tools import CALLS, TOOLS, CallId, Tool, ToolCall
from tunesmith.recipes.planner import Rows
from tunesmith.recipes.spec import JobSpec

API_VERSION = 1
VERSION_HEADER = "Tunesmith-API-Version"  # on every reply; a request that has it with another number is refused
HOST = "tunesmith"  # no name that any web page could have: there is no such host


class Submit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """POST /v1/jobs. `key` makes it idempotent: the same key is the same job. Paths in `spec` are absolute.

    `rows` is what the client knows of the data, None when nobody has looked; `force` starts the job whatever its
    forecast says. `hub` is asked first for a model that names none, `offline` forbids every connection: what is "" or
    False is as the daemon's environment says.
    """

    key: str
    spec: JobSpec
    rows: Rows | None = None
    force: bool = False
    hub: str = ""
    offline: bool = False


class Resume(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """POST /v1/jobs/{id}/resume. `force` as in Submit; it is kept for later attempts too."""

    force: bool = False


class Retry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """POST /v1/jobs/{id}/retry: the same recipe as a new job. `key` and `force` as in Submit."""

    key: str
    force: bool = False


class Move(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """POST /v1/jobs/{id}/move: to right before the queued job `before`; None: it starts next."""

    before: int | None = None


class ChatMessage(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """`images` are data: URLs of a PNG, JPEG or WebP, and stand before the text.

    A message of the role assistant has the `tool_calls` that it made; one of the role tool is the result of
    `tool_call_id`.
    """

    role: str
    content: str
    images: tuple[str, ...] = ()
    tool_calls: Annotated[tuple[ToolCall, ...], msgspec.Meta(max_length=CALLS)] = ()
    tool_call_id: CallId = ""


class Chat(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """POST /v1/jobs/{id}/chat: streams ChatDelta and ChatCalled, then one ChatDone. `base` asks the untuned model.

    `tools` are those that the model may call; the results go with the next request, each as a message of the role tool.
    """

    messages: tuple[ChatMessage, ...]
    base: bool = False
    max_tokens: int = 512
    temperature: float = 0.0
    seed: int = 0
    tools: Annotated[tuple[Tool, ...], msgspec.Meta(max_length=TOOLS)] = ()


class ChatQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    base: Annotated[bool, msgspec.Meta(description="The untuned model instead.")] = False


class ChatModel(msgspec.Struct, frozen=True):
    """GET /v1/jobs/{id}/chat: what would answer. `images`: it takes them."""

    model: str
    images: bool


class ChatDelta(msgspec.Struct, frozen=True, tag="delta", tag_field="type"):
    text: str


class ChatCalled(msgspec.Struct, frozen=True, tag="called", tag_field="type"):
    """The model calls a tool, and waits for its result."""

    call: ToolCall


class ChatDone(msgspec.Struct, frozen=True, tag="done", tag_field="type"):
    """`finish_reason` is stop, length or tool_calls.

    `prompt_tokens` and `tokens` fill `context_tokens`; 0 where that is not known.
    """

    tokens: int
    tokens_per_second: float
    finish_reason: str
    model: str
    prompt_tokens: int = 0
    context_tokens: int = 0


class ChatFailed(msgspec.Struct, frozen=True, tag="failed", tag_field="type"):
    code: str
    message: str
    hint: str = ""


ChatEvent = ChatDelta | ChatCalled | ChatDone | ChatFailed


class Serve(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """POST /v1/serve: `model` is run-7, run-7:f16, an absolute path of a .gguf file or a folder, or a model's name.

    `name` is what clients ask for, made of `model` where it is "". `adapters` are absolute paths by further names.
    With a `port` it is there over TCP on 127.0.0.1 too, with a token; 0 is any free one. `idle_s` None is the daemon's.
    """

    model: str
    name: Annotated[str, msgspec.Meta(max_length=200)] = ""
    adapters: dict[str, str] = {}
    port: Annotated[int, msgspec.Meta(ge=0, le=65_535)] | None = None
    engine: str = "auto"
    context: Annotated[int, msgspec.Meta(ge=64, le=131_072)] = 4096
    slots: Annotated[int, msgspec.Meta(ge=1, le=32)] = 8
    idle_s: Annotated[float, msgspec.Meta(ge=0.1, le=31_536_000)] | None = None


class ServedModel(msgspec.Struct, frozen=True):
    """`loaded`: it is in memory now; else the next question loads it, and `engine` says what runs it then."""

    name: str
    path: str
    adapter: str = ""
    loaded: bool = False
    engine: str = ""


class LoadingModel(msgspec.Struct, frozen=True):
    """A model that does not answer yet, for `seconds` now; `said` is what its engine said last, where it says it."""

    name: str
    engine: str
    said: str
    seconds: float


class Serving(msgspec.Struct, frozen=True):
    """GET /v1/serve. `url` is "" while nothing listens on TCP; the token is in the file `token_file`."""

    socket: str
    models: tuple[ServedModel, ...]
    url: str = ""
    token_file: str = ""
    loading: tuple[LoadingModel, ...] = ()


class EventsQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    after: Annotated[
        int, msgspec.Meta(ge=0, lt=10**15, description="As Last-Event-ID, which wins: for clients that set no headers.")
    ] = 0


class EventsHeaders(msgspec.Struct, frozen=True, rename={"last_event_id": "Last-Event-ID"}):
    last_event_id: (
        Annotated[int, msgspec.Meta(ge=0, lt=10**15, description="The last event seen: those after it are sent.")]
        | msgspec.UnsetType
    ) = msgspec.UNSET


class LogQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    tail: Annotated[int, msgspec.Meta(ge=0, le=10_000, description="How many lines.")] = 200


class Done(msgspec.Struct, frozen=True):
    """It is so."""

    ok: bool = True


class DaemonStatus(msgspec.Struct, frozen=True):
    """GET /v1/daemon. `jobs` counts jobs by state, `streams` event streams that are open."""

    pid: int
    socket: str
    version: str
    api_version: int
    uptime_s: float
    jobs: dict[str, int]
    home: str = ""
    connections: int = 0
    streams: int = 0


class LogText(msgspec.Struct, frozen=True):
    """GET /v1/jobs/{id}/log?tail=N: the last N lines of what the libraries printed."""

    path: str
    text: str
