"""Engines with a server of their own: what one is started with, is asked and answers, whichever it is.

A card is an engine of `worker.engines` whose `open` is `Remote` with its Dialect; all that differs is in the dialect.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from tunesmith.daemon.serving.lines import Share
from tunesmith.daemon.worker.engines import Form, Prompt, Token
from tunesmith.daemon.worker.serve.folder_text import FolderText

BASE = "base"  # the name of the model without an adapter


class Start(msgspec.Struct, frozen=True):
    """What a server is started with. `program` is its command or a Python that has it; `private` a folder of ours.

    It listens at `port` of the loopback, or at `socket`, whichever its dialect says. `adapters` are views by name.
    `share` None: it computes on the processor.
    """

    program: Path
    model: Path
    key: str
    private: Path
    socket: Path
    port: int
    context: int
    slots: int
    adapters: Mapping[str, Path]
    rank: int
    share: Share | None
    cache_bytes: int


class Command(msgspec.Struct, frozen=True):
    """`environment` is what it has beside ours."""

    words: tuple[str, ...]
    environment: Mapping[str, str] = {}


class Asked(msgspec.Struct, frozen=True):
    """`name` is the model's or an adapter's; `most` tokens at least one; `top`: how many of the likeliest, or None.

    `scored` only where `top` is not None: the logprobs of the prompt too. `ends` are the tokens that end an answer.
    """

    prompt: Prompt
    name: str
    most: int
    top: int | None
    scored: bool
    ends: tuple[int, ...]


class Heard(msgspec.Struct, frozen=True):
    """Of one event: new `tokens`, the prompt's `scores` from its second token on, and how much of it was `cached`.

    `finish` is "" until the answer has ended, then stop or length, or what the server calls it.
    """

    tokens: tuple[Token, ...] = ()
    scores: tuple[Token, ...] = ()
    cached: int | None = None
    finish: str = ""


class Dialect(msgspec.Struct, frozen=True):
    """How one engine is started, asked and understood.

    `by_socket`: it can listen on a Unix socket. `refuse(asked)` says what it cannot do, "" for nothing. `ask` is the
    body of a request to `path`; `hear(event, before, text)` an event of its stream, `before` tokens after its
    beginning. `held` is what it is sent for a Form, None where it has no way to say that.
    """

    key: str
    start: Callable[[Start], Command]
    path: str
    ask: Callable[[Asked], dict[str, Any]]
    hear: Callable[[dict[str, Any], Asked, int, FolderText], Heard]
    held: Callable[[Form], dict[str, Any] | None]
    refuse: Callable[[Asked], str]
    by_socket: bool = False


def cached_tokens(event: dict[str, Any]) -> int | None:
    """Of an event in OpenAI's form that tells usage: how much of the prompt was there from before."""
    told = (event.get("usage") or {}).get("prompt_tokens_details") or {}
    cached: int | None = told.get("cached_tokens")
    return cached


def schema_format(form: Form) -> dict[str, Any]:
    """The schema of `form` as OpenAI's interface has it."""
    return {"response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": form.schema}}}
