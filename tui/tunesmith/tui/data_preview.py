"""Rows as a person looks at them: the exact text the model sees, cut where training begins and ends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from tunesmith.recipes.data.reasons import BadRow
from tunesmith.tui.texts import t

if TYPE_CHECKING:
    from tunesmith.recipes.data.checking.preview import PartView
    from tunesmith.recipes.data.rows import Part, Sample

TRAINED, PLAIN, NAME = "trained", "plain", "name"


class Piece(msgspec.Struct, frozen=True):
    """`kind` is trained (has a loss), plain, or name: ours, not of the text."""

    text: str
    kind: str


class ShownPart(msgspec.Struct, frozen=True):
    """`tokens` and `trained` count tokens, None without a model.

    `trouble` says why it cannot be rendered or is too long.
    """

    name: str
    pieces: tuple[Piece, ...]
    tokens: int | None = None
    trained: int | None = None
    trouble: str = ""


class ShownRow(msgspec.Struct, frozen=True):
    where: str
    parts: tuple[ShownPart, ...]
    label: str = ""


def shown(samples: Sequence[Sample], model: str | None, trained: str, limit: int | None = None) -> list[ShownRow]:
    """All parts of each row, whole even where training cuts them to `limit` tokens, which is said.

    Without a model's folder their messages, the trained ones told by their role. Raises ModelError.
    """
    if model is None:
        return [row(sample, [spoken(part, trained) for part in sample.parts]) for sample in samples]
    from tunesmith.recipes.data.checking import preview

    return [
        row(sample, [tokenized(*both, trained, limit) for both in zip(sample.parts, parts, strict=True)])
        for sample, parts in zip(samples, preview.views(samples, model, trained), strict=True)
    ]


def row(sample: Sample, parts: Sequence[ShownPart]) -> ShownRow:
    return ShownRow(sample.where, tuple(parts), "" if sample.label is None else str(sample.label))


def tokenized(part: Part, view: PartView | BadRow, trained: str, limit: int | None) -> ShownPart:
    """The part as the trainer sees it, or why it cannot."""
    if isinstance(view, BadRow):
        return ShownPart(part.name, spoken(part, trained).pieces, trouble=t(f"data.{view.code}", **view.values))
    pieces = [Piece(run.text, TRAINED if run.trained else PLAIN) for run in view.runs]
    tokens = len(view.ids)
    trouble = t("data.over_long", limit=limit, tokens=tokens) if limit is not None and tokens > limit else ""
    return ShownPart(part.name, tuple(pieces), tokens, sum(view.trained), trouble)


def spoken(part: Part, trained: str) -> ShownPart:
    """The part's messages with their roles; what would be trained, as far as that can be told without tokens."""
    if part.messages is None:
        return ShownPart(part.name, (Piece(part.text or "", TRAINED),))
    answers = [n for n, message in enumerate(part.messages) if message["role"] == "assistant"]
    pieces: list[Piece] = []
    for number, message in enumerate(part.messages):
        role = str(message["role"])
        of_answers = number in answers and message.get("loss", True) and (trained != "last" or number == answers[-1])
        name = t(f"data.role_{role}") if role in ("system", "user", "assistant", "tool") else role
        pieces.append(Piece(f"{name}  ", NAME))
        text = str(message["content"])
        if calls := message.get("tool_calls"):
            text += "\n" * bool(text) + msgspec.json.encode(calls).decode()
        pieces.append(Piece(text, TRAINED if of_answers or trained == "all" else PLAIN))
        pieces.append(Piece("\n", NAME))
    return ShownPart(part.name, tuple(pieces[:-1]))
