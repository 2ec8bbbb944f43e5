"""What the llama.cpp engine knows of its answers: a sequence of its context, and who is writing in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunesmith.daemon.worker.engines import Prompt, Token


class Slot:
    """A sequence of the context: `tokens` are in its cells, `writing` is who uses it, `used` when that began."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.tokens: list[int] = []
        self.adapter = ""
        self.writing: Writing | None = None
        self.used = 0


class Writing:
    """`done` tokens of `ids` are computed; the last of `ids` is what was sampled last."""

    def __init__(self, slot: Slot, prompt: Prompt, sampler: Any, reserved: int) -> None:
        self.slot = slot
        self.ids = list(prompt.ids)
        self.prompt_tokens = len(prompt.ids)
        self.seen = prompt.seen
        self.sampler = sampler
        self.reserved = reserved
        self.logprobs = prompt.sampling.logprobs
        self.scored = prompt.scored
        self.adapter = prompt.adapter
        self.reused = 0
        self.done = 0
        self.scores: list[Token] = []

    @property
    def looks(self) -> bool:
        """Whether a picture comes next."""
        return self.ids[self.done] < 0

    @property
    def readable(self) -> int:
        """Up to where no picture stands."""
        pictures: Mapping[int, Any] = self.seen.chunks if self.seen is not None else {}
        return min((place for place in pictures if place > self.done), default=len(self.ids))
