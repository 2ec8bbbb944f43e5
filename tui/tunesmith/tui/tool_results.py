"""Which call of a tool a person is asked the result of, where one model or two wait for some."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from tunesmith.daemon.api.tools import ToolCall
from tunesmith.tui.conversation import Turn, exchanges, pending


class Wanted(NamedTuple):
    """The call number `place`, from 1, of the `total` in the last answer of the base or of the tuned model."""

    base: bool
    call: ToolCall
    place: int
    total: int


Sides = Mapping[bool, Sequence[Turn]]  # by whether it is with the base; those that are shown


def wanted(sides: Sides, now: Wanted | None = None) -> Wanted | None:
    """The first that waits; `now`, which is asked for already, until it has its result."""
    found = list(_each(sides))
    return now if now in found else next(iter(found), None)


def _each(sides: Sides) -> Iterator[Wanted]:
    for base, turns in sides.items():
        if waiting := pending(turns):
            total = next(len(turn.calls) for turn in reversed(turns) if turn.role == "assistant")
            yield Wanted(base, waiting[0], total - len(waiting) + 1, total)


def given_before(sides: Sides, asked: Wanted) -> str:
    """What the very same call gave back for the same question, in either conversation; "" where none did."""
    for turns in sides.values():
        *_, exchange = ((), *exchanges(turns))
        for turn in exchange:
            if turn.role == "tool" and any(call.function == asked.call.function for call in turn.calls):
                return turn.text
    return ""
