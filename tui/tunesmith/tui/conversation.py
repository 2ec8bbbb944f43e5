"""A conversation with a model as the chat keeps it: its turns, what of them is sent, and how full the context is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import msgspec

from tunesmith.daemon.api.images import Attached
from tunesmith.daemon.api.requests import ChatMessage
from tunesmith.tui.plain import well_formed

Role = Literal["user", "assistant"]
State = Literal["said", "cut", "streaming", "stopped", "failed"]
NEARLY_FULL = 0.85  # of the context: an answer of the usual length may not fit behind it


class Turn(msgspec.Struct, frozen=True, omit_defaults=True):
    """`cut` is an answer at the length limit; a failed one is shown but not sent again.

    `system` is what was sent before a question. `used` of the `context` tokens were taken once it was answered; 0 is
    not known.
    """

    role: Role
    text: str
    state: State = "said"
    note: str = ""
    images: tuple[Attached, ...] = ()
    system: str = ""
    used: int = 0
    context: int = 0

    def __post_init__(self) -> None:
        """Whatever a keyboard or a file's name gave, it can be sent and kept."""
        for field in ("text", "note", "system"):
            msgspec.structs.force_setattr(self, field, well_formed(getattr(self, field)))
        images = tuple(msgspec.structs.replace(image, name=well_formed(image.name)) for image in self.images)
        msgspec.structs.force_setattr(self, "images", images)


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
    for index, turn in enumerate(turns):
        following = turns[index + 1] if index + 1 < len(turns) else None
        unanswered = turn.role == "user" and following is not None and not following.text
        if turn.text and not unanswered:
            sent.append(ChatMessage(turn.role, turn.text, tuple(image.url for image in turn.images)))
    return tuple(sent)


def fill(turns: Sequence[Turn]) -> Fill | None:
    """As of the last answer that came to its end; None where none did."""
    return next((Fill(turn.used, turn.context) for turn in reversed(turns) if turn.context), None)
