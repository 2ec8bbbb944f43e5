"""What may be asked of the daemon and what it answers; unknown fields are refused on both sides."""

from __future__ import annotations

import msgspec

from tunesmith.recipes.planner import Rows
from tunesmith.recipes.spec import JobSpec

API_VERSION = 1


class Submit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """POST /v1/jobs. `key` makes it idempotent: the same key is the same job. Paths in `spec` are absolute.

    `rows` is what the client knows of the data, None when nobody has looked; `force` starts the job whatever its
    forecast says.
    """

    key: str
    spec: JobSpec
    rows: Rows | None = None
    force: bool = False


class Resume(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """POST /v1/jobs/{id}/resume. `force` as in Submit; it is kept for later attempts too."""

    force: bool = False


class ChatMessage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    role: str
    content: str


class Chat(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """POST /v1/jobs/{id}/chat: streams ChatDelta, then one ChatDone. `base` asks the untuned model."""

    messages: tuple[ChatMessage, ...]
    base: bool = False
    max_tokens: int = 512
    temperature: float = 0.0
    seed: int = 0


class ChatDelta(msgspec.Struct, frozen=True, tag="delta", tag_field="type"):
    text: str


class ChatDone(msgspec.Struct, frozen=True, tag="done", tag_field="type"):
    """`finish_reason` is stop or length."""

    tokens: int
    tokens_per_second: float
    finish_reason: str
    model: str


class ChatFailed(msgspec.Struct, frozen=True, tag="failed", tag_field="type"):
    code: str
    message: str
    hint: str = ""


ChatEvent = ChatDelta | ChatDone | ChatFailed


class DaemonStatus(msgspec.Struct, frozen=True):
    """GET /v1/daemon. `jobs` counts jobs by state."""

    pid: int
    socket: str
    version: str
    api_version: int
    uptime_s: float
    jobs: dict[str, int]
    home: str = ""


class LogText(msgspec.Struct, frozen=True):
    """GET /v1/jobs/{id}/log?tail=N: the last N lines of what the libraries printed."""

    path: str
    text: str
