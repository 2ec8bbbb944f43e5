"""How a chat template opens and closes an answer, found by rendering conversations whose words are known."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from tunesmith.recipes.data.reasons import BadRow
from tunesmith.recipes.data.rendering.chat_template import PROBE_CALL, PROBE_TOOL, ChatTemplate

_ASKED, _ANSWER, _AGAIN, _SECOND, _RESULT = "qjxask1", "qjxsay2", "qjxask3", "qjxsay4", "qjxout5"


class Endings(msgspec.Struct, frozen=True):
    """What a template writes around an answer of plain text.

    `leads` stand between the generation prompt and the answer (an empty thought, a space), in a last and in an earlier
    turn. `closes` go from the answer to the end of its end-of-turn token. `tails` are all that follows the last
    answer; `appended` what that lacks of a close, which rendering adds ("" for most), and `appended_call` the same for
    an answer that calls tools. `header` ends the prompt in every turn; `unwritten` are ends of the generation prompt
    that finished turns do not have.
    """

    leads: tuple[str, ...]
    closes: tuple[str, ...]
    tails: tuple[str, ...]
    appended: str
    appended_call: str
    header: str
    unwritten: tuple[str, ...]


def probed(template: ChatTemplate, special: Iterable[str], added: Iterable[str]) -> Endings | None:
    """None where the template writes no special token after an answer, or refuses the simplest conversation."""
    ask: Any = [{"role": "user", "content": _ASKED}, {"role": "assistant", "content": _ANSWER}]
    more: Any = [*ask, {"role": "user", "content": _AGAIN}, {"role": "assistant", "content": _SECOND}]
    try:
        asked, prompt = template.text(ask[:1]), template.text(ask[:1], prompt=True)
        single, double = template.text(ask), template.text(more)
    except BadRow:
        return None
    if not all(word in text for text, word in ((prompt, _ASKED), (single, _ANSWER), (double, _ANSWER))):
        return None
    between, tail = _between(double, _ANSWER, _AGAIN), single.partition(_ANSWER)[2]
    close = _through_first(between, special) or _through_first(between, added)
    if close is None:
        return None
    leads, unwritten = [], []
    for text in (single, double):
        shared = _shared(prompt, text[: text.index(_ANSWER)])
        leads.append(text[shared : text.index(_ANSWER)])
        unwritten.append(prompt[shared:])
    header = prompt[_shared(asked, prompt) : len(prompt) - max(map(len, unwritten))]
    stop = _through_first(tail, special)
    if stop is not None:
        close = stop  # where the last answer ends with another token than earlier ones, only that one stops a model
    appended = "" if tail.startswith(close) else close.removeprefix(tail)
    closes, tails, appended_call = [close], [tail], appended
    opening = _specials(prompt[: prompt.index(_ASKED)], special)
    if opening and opening[-1].group() == close:  # what opens the next turn is what ends this one
        call = _around_call(template, special)
        if call is not None:
            closes.append(call[0])
            tails.append(call[1])
            appended_call = call[0].removeprefix(call[1])
    return Endings(
        tuple(dict.fromkeys(leads)),
        tuple(dict.fromkeys(closes)),
        tuple(dict.fromkeys(tails)),
        appended,
        appended_call,
        header,
        tuple(text for text in dict.fromkeys(unwritten) if text),
    )


def _around_call(template: ChatTemplate, special: Iterable[str]) -> tuple[str, str] | None:
    """What ends a tool call, and what of it the template writes when nothing follows; None where calls are refused."""
    messages: Any = [
        {"role": "user", "content": _ASKED},
        {"role": "assistant", "content": "", "tool_calls": [PROBE_CALL]},
        {"role": "tool", "name": "qjxcall", "tool_call_id": PROBE_CALL["id"], "content": _RESULT},
    ]
    try:
        called = template.text(template.given(messages[:2]), [PROBE_TOOL])
        answered = template.text(template.given(messages), [PROBE_TOOL])
    except BadRow:
        return None
    written = _specials(called[called.rfind("qjxvalue") :], special)
    if written:
        return written[-1].group(), written[-1].group()
    if not answered.startswith(called):
        return None
    close = _through_first(answered[len(called) : answered.rfind(_RESULT)], special)
    return None if close is None else (close, "")


def _shared(first: str, second: str) -> int:
    """How many characters both begin with."""
    for place, (one, other) in enumerate(zip(first, second, strict=False)):
        if one != other:
            return place
    return min(len(first), len(second))


def _between(text: str, first: str, second: str) -> str:
    start = text.index(first) + len(first)
    return text[start : text.find(second, start)]


def _through_first(text: str, tokens: Iterable[str]) -> str | None:
    """`text` up to and with the first of `tokens`."""
    found = _specials(text, tokens)
    return text[: found[0].end()] if found else None


def _specials(text: str, tokens: Iterable[str]) -> list[re.Match[str]]:
    """Where `tokens` stand, the longest where several start at one place."""
    longest_first = sorted((token for token in tokens if token), key=len, reverse=True)
    return list(re.finditer("|".join(map(re.escape, longest_first)), text)) if longest_first else []
