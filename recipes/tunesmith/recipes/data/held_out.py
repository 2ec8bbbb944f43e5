"""Rows that are held out of training to test what was learned: chosen by content, so no duplicate crosses over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from tunesmith.recipes.data.reasons import BadRow
from tunesmith.recipes.data.rows import Message, Sample

FEWEST, MOST = 8, 500  # fewer says nothing about the model, more takes longer than it tells


class HeldOutRow(msgspec.Struct, frozen=True):
    """`messages` end with the question, `answer` is expected; all of `accept` must be in an answer, no `reject`."""

    messages: list[Message]
    answer: str
    accept: tuple[str, ...] = ()
    reject: tuple[str, ...] = ()
    where: str = ""
    tools: list[dict[str, Any]] | None = None

    @property
    def question(self) -> str:
        return str(self.messages[-1]["content"])

    def conversation(self) -> list[Message]:
        """Question and expected answer, to be scored."""
        return [*self.messages, {"role": "assistant", "content": self.answer}]


def held_out_row(found: Sample) -> HeldOutRow:
    """The question and expected answer of a row: the last assistant turn, or what the column `answer` says.

    Raises BadRow when it has no such thing.
    """
    messages = found.parts[0].messages
    if not messages:
        raise BadRow("no_question")
    messages = list(messages)
    answer = found.columns.get("answer")
    if answer is None and messages[-1]["role"] == "assistant":
        answer = messages.pop()["content"]
    if not isinstance(answer, str) or not answer.strip():
        raise BadRow("no_answer")
    if not messages or messages[-1]["role"] != "user":
        raise BadRow("no_question")
    accept, reject = phrases(found.columns, "accept"), phrases(found.columns, "reject")
    return HeldOutRow(messages, answer, accept, reject, found.where, found.tools)


def phrases(row: Mapping[str, Any], key: str) -> tuple[str, ...]:
    """Raises BadRow unless `row[key]` is missing or a list of texts."""
    found = row.get(key, [])
    if not isinstance(found, list) or not all(isinstance(item, str) and item.strip() for item in found):
        raise BadRow("bad_phrases", key=key)
    return tuple(found)


def wanted(rows: int, fraction: float) -> int:
    """How many of `rows` different rows are held out: at most half, since with very few rows training comes first."""
    return min(max(FEWEST, round(rows * fraction)), MOST, rows // 2)


def drawn(hashes: Any, seed: int) -> Any:
    """A number in 0..2**64 for each content hash (uint64), evenly spread and different for each seed.

    The rows with the smallest are held out. The mixing is splitmix64's finalizer (Steele, Lea, Flood: "Fast
    splittable pseudorandom number generators", 2014).
    """
    import numpy as np

    with np.errstate(over="ignore"):
        mixed = np.asarray(hashes, np.uint64) + np.uint64((seed * 0x9E3779B97F4A7C15 + 1) % 2**64)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return mixed ^ (mixed >> np.uint64(31))


def share_of_draws(share: float) -> Any:
    """The number (uint64) that a `share` of all draws lies below."""
    import numpy as np

    return np.uint64(min(int(share * 2**64), 2**64 - 1))
