"""A conversation with a model as the chat keeps it: its turns, what of them is sent, and how full the context is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

import msgspec

from tunesmith.daemon.api.images import Attached
from tunesmith.daemon.api.requests import ChatMessage
from tunesmith.daemon.api.tools import CalledFunction, Tool, ToolCall
from tunesmith.tui.plain import well_formed

Role = Literal["user", "assistant", "tool"]
State = Literal["said", "cut", "streaming", "stopped", "failed"]
ENDED = ("said", "cut")  # states of an answer that came to its end
NEARLY_FULL = 0.85  # of the context: an answer of the usual length may not fit behind it


class Turn(msgspec.Struct, frozen=True, omit_defaults=True):
    """`cut` is an answer at the length limit; a failed one is shown but not sent again.

    `system` is what was sent before a question, and `tools` what the model might call for it. `calls` are those of an
    answer, and the one that a result is of. `used` of the `context` tokens were taken once it was answered; 0 is not
    known.
    """

    role: Role
    text: str
    state: State = "said"
    note: str = ""
    images: tuple[Attached, ...] = ()
    system: str = ""
    used: int = 0
    context: int = 0
    tools: tuple[Tool, ...] = ()
    calls: tuple[ToolCall, ...] = ()

    def __post_init__(self) -> None:
        """Whatever a keyboard, a model or a file's name gave, it can be sent and kept."""
        for field in ("text", "note", "system"):
            msgspec.structs.force_setattr(self, field, well_formed(getattr(self, field)))
        images = tuple(msgspec.structs.replace(image, name=well_formed(image.name)) for image in self.images)
        msgspec.structs.force_setattr(self, "images", images)
        msgspec.structs.force_setattr(self, "calls", tuple(map(_well_formed_call, self.calls)))


def _well_formed_call(call: ToolCall) -> ToolCall:
    function = CalledFunction(well_formed(call.function.name), well_formed(call.function.arguments))
    return ToolCall(well_formed(call.id), function)


class Fill(NamedTuple):
    """Tokens of the model's context that the conversation took, with its last answer."""

    used: int
    context: int

    @property
    def share(self) -> float:
        return self.used / self.context

    @property
    def nearly_full(self) -> bool:
        return self.share >= NEARLY_FULL


def messages(turns: Sequence[Turn], system: str) -> tuple[ChatMessage, ...]:
    """What is sent: the system prompt when there is one, then the turns that the model should know."""
    sent = [ChatMessage("system", system)] if system.strip() else []
    for exchange in exchanges(turns):
        if _goes_on(exchange):
            sent += map(message, exchange)
    return tuple(sent)


def exchanges(turns: Sequence[Turn]) -> Iterator[Sequence[Turn]]:
    """Each question with what followed it: an answer, with calls of tools and their results before."""
    begins = [place for place, turn in enumerate(turns) if turn.role == "user" or not place]
    return (turns[begin:end] for begin, end in zip(begins, [*begins[1:], len(turns)], strict=False))


def _goes_on(exchange: Sequence[Turn]) -> bool:
    """Whether the model should know it: it is answered, or the model is to answer now."""
    last = exchange[-1]
    if last.role == "assistant":
        return bool(last.text) and not last.calls
    return not pending(exchange)


def pending(turns: Sequence[Turn]) -> tuple[ToolCall, ...]:
    """Calls of the last answer that wait for their results, in their order."""
    given = next((place for place, turn in enumerate(reversed(turns)) if turn.role != "tool"), len(turns))
    answer = turns[-1 - given] if given < len(turns) else None
    return answer.calls[given:] if answer is not None and answer.state in ENDED else ()


def question(turns: Sequence[Turn]) -> Turn | None:
    """The last one; None where nothing was asked."""
    return next((turn for turn in reversed(turns) if turn.role == "user"), None)


def message(turn: Turn) -> ChatMessage:
    """As it is sent."""
    urls = tuple(image.url for image in turn.images)
    if turn.role == "tool":
        return ChatMessage("tool", turn.text, tool_call_id=turn.calls[0].id if turn.calls else "")
    return ChatMessage(turn.role, turn.text, urls, turn.calls)


def fill(turns: Sequence[Turn]) -> Fill | None:
    """As of the last answer that came to its end; None where none did."""
    return next((Fill(turn.used, turn.context) for turn in reversed(turns) if turn.context), None)
