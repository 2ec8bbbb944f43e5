"""Where a conversation's trained answers stand in its text, each checked against what the model would be asked.

Where a template has generation markers, its authors say what the model writes. Elsewhere an answer is trained only
where this holds for the very text that is trained on: the text before it is exactly the prompt that the template
makes of the messages before it; after that comes all of the message (reasoning, content, calls) and then the
end-of-turn token. Where a template drops reasoning from earlier turns, or moves something once later messages follow,
that does not hold: the row is refused with the reason, and training only the last turn (or `loss: false` on the
earlier ones) helps. An earlier answer without reasoning is whole and is trained, although some templates write an
empty thought before the last one only. An answer that nothing was asked before begins behind its header.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from tunesmith.recipes.data.reasons import BadRow
from tunesmith.recipes.data.rendering import markers
from tunesmith.recipes.data.rendering.chat_template import ChatTemplate, Span, Tools
from tunesmith.recipes.data.rendering.endings import Endings
from tunesmith.recipes.data.rows import Message

MODES = ("assistant", "last", "all")
_OTHER = "qjxanswer"  # an answer that no template changes
_THOUGHT = re.compile(r"</?think>")


def found(
    template: ChatTemplate, endings: Endings | None, messages: Sequence[Message], tools: Tools, trained: str
) -> tuple[str, list[Span]]:
    """The text of `messages` and its trained spans in characters; `trained` is one of MODES. Raises BadRow."""
    given = template.given(messages)
    marks = markers.marked(template, endings, given, tools) if template.has_markers and endings is not None else None
    whole = template.text(given, tools) if marks is None else marks[0]
    if endings is not None and endings.appended and given and given[-1]["role"] == "assistant":
        whole += endings.appended_call if given[-1].get("tool_calls") else endings.appended
    if trained == "all":
        return whole, [(0, len(whole))]
    answers = [index for index, message in enumerate(messages) if message["role"] == "assistant"]
    if trained == "last":
        answers = answers[-1:]
    answers = [index for index in answers if messages[index].get("loss", True)]
    if answers and endings is None:
        raise BadRow("no_end_of_turn", place=answers[0] + 1)
    if marks is not None:
        for index in answers:
            _keeps_all(given[index], whole[slice(*marks[1][index])], index)
        return whole, [marks[1][index] for index in answers]
    return whole, [_span(template, endings, given, tools, whole, index) for index in answers if endings is not None]


def _span(
    template: ChatTemplate, endings: Endings, given: Sequence[Message], tools: Tools, whole: str, index: int
) -> Span:
    """From the end of the prompt for message `index` to the end of its end-of-turn token. Raises BadRow."""
    message = given[index]
    start = _start(template, endings, given, tools, whole, index)
    if not message.get("tool_calls") and not message.get("reasoning_content"):
        # Nearly every answer: it stands there word for word, and the token that ends the turn follows.
        content = message["content"]
        for answer in (content, content.strip()):
            for lead in endings.leads:
                for close in endings.closes:
                    expected = f"{lead}{answer}{close}"
                    if whole.startswith(expected, start):
                        return start, start + len(expected)
    last = index == len(given) - 1
    upto = template.text(given if last else given[: index + 1], tools)
    end = _end(endings, upto, whole, start)
    if end is None:
        place = index + 1
        if not upto.endswith(endings.tails) or whole.startswith(upto):
            raise BadRow("no_end_of_turn", place=place)
        raise BadRow("drops_reasoning" if _thinks(message) else "rewritten_turns", place=place)
    _keeps_all(message, whole[start:end], index)
    return start, end


def _start(
    template: ChatTemplate, endings: Endings, given: Sequence[Message], tools: Tools, whole: str, index: int
) -> int:
    """Where the model would begin to write message `index`. Raises BadRow where it would be asked something else."""
    if all(message["role"] == "system" for message in given[:index]):
        return _opening(template, endings, given, tools, whole, index)
    prompt = template.text(given[:index], tools, prompt=True)
    if whole.startswith(prompt):
        return len(prompt)
    for ending in endings.unwritten:
        # Some templates open a thought in the prompt, and write finished turns without one.
        if prompt.endswith(ending) and whole.startswith(prompt[: -len(ending)]):
            return len(prompt) - len(ending)
    raise BadRow("rewritten_turns", place=index + 1)


def _opening(
    template: ChatTemplate, endings: Endings, given: Sequence[Message], tools: Tools, whole: str, index: int
) -> int:
    """Where an answer begins that nothing was asked before: many templates make no prompt then, but all a header."""
    other: Message = {"role": "assistant", "content": _OTHER}
    before, known, _ = template.text([*given[:index], other, *given[index + 1 :]], tools).partition(_OTHER)
    for lead in endings.leads:
        if known and before.endswith(endings.header + lead):
            start = len(before) - len(lead)
            if whole.startswith(before[:start]):
                return start
    raise BadRow("rewritten_turns", place=index + 1)


def _end(endings: Endings, upto: str, whole: str, start: int) -> int | None:
    """Where the end-of-turn token behind the answer ends, given the text `upto` and with its message."""
    for tail in endings.tails:
        answer = upto[start : len(upto) - len(tail)]
        bare = [answer.removeprefix(lead) for lead in endings.leads if answer.startswith(lead)]
        for form in (answer, *(lead + rest for rest in bare for lead in endings.leads)):
            for close in endings.closes:
                if upto.endswith(tail) and whole.startswith(form + close, start):
                    return start + len(form) + len(close)
    return None


def _thinks(message: Message) -> bool:
    content = message.get("content")
    return bool(message.get("reasoning_content")) or (isinstance(content, str) and "</think>" in content)


def _keeps_all(message: Message, text: str, index: int) -> None:
    """Raises BadRow where the template left out a part of the answer."""
    place = index + 1
    position = 0
    said = [message.get("reasoning_content") or "", *_THOUGHT.split(message.get("content") or "")]
    for piece in filter(None, map(str.strip, said)):
        at = text.find(piece, position)
        if at < 0:
            raise BadRow("drops_reasoning" if _thinks(message) else "rewritten_turns", place=place)
        position = at + len(piece)
    for call in message.get("tool_calls") or ():
        position = text.find(call["function"]["name"], position)
        if position < 0:
            raise BadRow("drops_calls", place=place)
