"""What a row is once it has been read and recognised."""

from __future__ import annotations

from typing import Any

import msgspec

# role (system, user, assistant, tool), content (text, media as tags), and where given: loss (bool), reasoning_content
# (text), tool_calls ([{"type": "function", "function": {"name", "arguments": {...}}}]), name, tool_call_id.
Message = dict[str, Any]


class RawRow(msgspec.Struct, frozen=True):
    """A decoded row of `file`, its shape not yet known; `line` counts from 1 (of an array or table: its rows)."""

    file: str
    line: int
    value: dict[str, Any]


class RejectedRow(msgspec.Struct, frozen=True):
    """A row that was not used: `reason` says why in English, `code` and `values` say it to other languages."""

    file: str
    line: int
    reason: str
    code: str = ""
    values: dict[str, Any] = {}
    text: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.reason}"


class FileNotice(msgspec.Struct, frozen=True):
    """Something about a whole file that a person should know (its encoding, say); it is no row."""

    file: str
    text: str
    code: str = ""
    values: dict[str, Any] = {}


class Media(msgspec.Struct, frozen=True):
    """`kind` is image, audio or video; `source` a path, a URL or a data: URI."""

    kind: str
    source: str


class Part(msgspec.Struct, frozen=True):
    """One text of a row: a conversation (`messages`) for the chat template, or a plain `text`; never both.

    `name` says which one: conversation, text, chosen, rejected, prompt, anchor, positive 1, negative 1, ...
    """

    name: str
    messages: list[Message] | None = None
    text: str | None = None


class Sample(msgspec.Struct, frozen=True):
    """A row of a known shape. Training uses the first part; preference rows have chosen and rejected, and so on.

    `media` is in the order of the tags in the text. `label` belongs to KTO and classification; `columns` are what the
    shape does not use (reward functions and the held-out answer read them).
    """

    file: str
    line: int
    shape: str
    parts: tuple[Part, ...]
    tools: list[dict[str, Any]] | None = None
    media: tuple[Media, ...] = ()
    label: bool | int | float | str | list[int | str] | None = None
    columns: dict[str, Any] = {}

    @property
    def where(self) -> str:
        return f"{self.file}:{self.line}"


class Rendered(msgspec.Struct, frozen=True):
    """What the model sees of a part: its exact `text` and tokens.

    `ids` is a numpy array of int32 (tokens,), `trained` of bool (tokens,): whether the token is a target of the loss.
    """

    text: str
    ids: Any
    trained: Any
