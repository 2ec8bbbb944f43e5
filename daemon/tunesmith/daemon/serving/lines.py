"""What the daemon and an engine's process say to each other: a struct as JSON a line, requests in, answers out.

Many requests are under way at once, each with an `id` of its own; an answer ends with Ended, Embedded or Refused.
"""

from __future__ import annotations

from typing import Any

import msgspec


class Sampling(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How tokens are chosen. `logprobs`: how many of the likeliest are told with each; None tells nothing.

    `temperature` 0 takes the likeliest; a `top_k` of 0 looks at all. `seed` None draws one.
    """

    max_tokens: int
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    logprobs: int | None = None


class Generate(msgspec.Struct, frozen=True, kw_only=True, tag="generate", forbid_unknown_fields=True):
    """An answer to `messages`, or what follows `text` or the tokens `ids`: one of the three.

    `tool_choice` is auto, none, required or the name of one of `tools`. `schema` is what the answer must be as JSON, {}
    any object. `pictures` are those that parts of messages of type picture stand for, in order, each a file's bytes in
    base64. `echo` tells the prompt first. `adapter` is a path, "" for the model as it is.
    """

    id: int
    sampling: Sampling
    messages: tuple[dict[str, Any], ...] = ()
    text: str | None = None
    ids: tuple[int, ...] = ()
    tools: tuple[dict[str, Any], ...] = ()
    tool_choice: str = "auto"
    schema: dict[str, Any] | None = None
    pictures: tuple[str, ...] = ()
    echo: bool = False
    adapter: str = ""


class Embed(msgspec.Struct, frozen=True, tag="embed", forbid_unknown_fields=True):
    """One text, or the tokens of one, as a vector of length 1."""

    id: int
    text: str | tuple[int, ...]
    adapter: str = ""


class Stop(msgspec.Struct, frozen=True, tag="stop", forbid_unknown_fields=True):
    """Nobody waits for the answer `id` any more. Nothing more is said of it."""

    id: int


class Share(msgspec.Struct, frozen=True):
    """What a model may take of a device, in bytes: `weights`, `cache` for its conversations, `rest` beside these.

    The device has `whole`, of which `free` were free when that was forecast; `device` is torch's name of it.
    """

    device: str
    weights: int
    cache: int
    rest: int
    whole: int
    free: int


class Loading(msgspec.Struct, frozen=True, tag="loading"):
    """Before the first line: what an engine that takes its time said last."""

    said: str


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """The model is loaded. `slots` answers are written at once, others wait their turn."""

    engine: str
    model: str
    context_tokens: int
    slots: int


class Score(msgspec.Struct, frozen=True):
    """A token and how likely it was, as the natural logarithm; None for the first of a text, which nothing precedes."""

    token: str
    logprob: float | None
    top: tuple[tuple[str, float], ...] = ()


class Piece(msgspec.Struct, frozen=True, tag="piece"):
    """More of the answer; `scores` are of the tokens that came since the piece before."""

    id: int
    text: str
    scores: tuple[Score, ...] = ()


class Called(msgspec.Struct, frozen=True, tag="called"):
    """The answer calls a tool; `arguments` is JSON."""

    id: int
    name: str
    arguments: str


class Ended(msgspec.Struct, frozen=True, tag="ended"):
    """`finish_reason` is stop, length or tool_calls; `cached` of the prompt's tokens were there from before."""

    id: int
    finish_reason: str
    prompt_tokens: int
    tokens: int
    cached: int
    tokens_per_second: float


class Embedded(msgspec.Struct, frozen=True, tag="embedded"):
    id: int
    vector: tuple[float, ...]
    tokens: int


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    """`id` 0: the model cannot be loaded, or not be held any more, and the process ends."""

    id: int
    code: str
    message: str
    hint: str = ""


Request = Generate | Embed | Stop
Answer = Piece | Called | Ended | Embedded | Refused
Line = Loading | Ready | Answer
LAST = (Ended, Embedded, Refused)
