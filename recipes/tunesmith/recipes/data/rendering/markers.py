"""Trained spans from the generation markers that a template's own authors put around what the model writes."""

from __future__ import annotations

from collections.abc import Sequence

from tunesmith.recipes.data.rendering.chat_template import ChatTemplate, Span, Tools
from tunesmith.recipes.data.rendering.endings import Endings
from tunesmith.recipes.data.rows import Message


def marked(
    template: ChatTemplate, endings: Endings, given: Sequence[Message], tools: Tools
) -> tuple[str, dict[int, Span]] | None:
    """The text and the span of each assistant message by its index, from behind its header to its end of turn.

    None where blocks and messages do not pair up, or a block has no header before it or no end of turn: prefixes tell
    then. Raises BadRow where the template refuses the messages.
    """
    text, blocks = template.marked(given, tools)
    answers = [index for index, message in enumerate(given) if message["role"] == "assistant"]
    joined: list[Span] = []
    for start, end in blocks:
        if joined and joined[-1][1] == start:
            joined[-1] = (joined[-1][0], end)
        elif end > start:
            joined.append((start, end))
    if len(joined) != len(answers):
        return None
    spans: dict[int, Span] = {}
    for index, (first, last) in zip(answers, joined, strict=True):
        begin, close = _start(text, first, last, endings), _end(text, last, endings)
        if begin is None or close is None:
            return None
        spans[index] = (begin, close)
    return text, spans


def _start(text: str, first: int, last: int, endings: Endings) -> int | None:
    """Some blocks begin within the header, which the model is given and does not write."""
    for place in range(first, min(first + len(endings.header), last) + 1):
        if text.endswith(endings.header, 0, place):
            for ending in endings.unwritten:
                if text.startswith(ending, place):
                    return place + len(ending)
            return place
    return None


def _end(text: str, last: int, endings: Endings) -> int | None:
    """Some blocks stop before the end-of-turn token, and some go on behind it."""
    for close in endings.closes:
        if text.startswith(close, last):
            return last + len(close)
    for close in endings.closes:
        for tail in (*endings.tails, text[len(text[:last].rstrip()) : last]):
            behind = tail.removeprefix(close)
            if text.endswith(close + behind, 0, last):
                return last - len(behind)
    return None
