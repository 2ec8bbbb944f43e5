"""What a row is once it has been read and checked."""

from __future__ import annotations

from typing import Any

import msgspec

Message = dict[str, Any]


class TrainingRow(msgspec.Struct, frozen=True):
    """A conversation with at least one assistant turn; `where` is `file:line`."""

    messages: list[Message]
    where: str = ""


class HeldOutRow(msgspec.Struct, frozen=True):
    """`messages` end with the question, `answer` is expected; all of `accept` must be in an answer, no `reject`."""

    messages: list[Message]
    answer: str
    accept: tuple[str, ...] = ()
    reject: tuple[str, ...] = ()
    where: str = ""

    @property
    def question(self) -> str:
        return str(self.messages[-1]["content"])

    def conversation(self) -> list[Message]:
        """Question and expected answer, to be scored."""
        return [*self.messages, {"role": "assistant", "content": self.answer}]


class RejectedRow(msgspec.Struct, frozen=True):
    """A row that was not used, and why."""

    where: str
    reason: str
    line: str = ""

    def __str__(self) -> str:
        return f"{self.where}: {self.reason}"
