"""Which of two answers is better: when that can be said, and the rows that it makes, ready for training on preferences.

A row has both answers to one prompt: both models were sent the very same messages. After a vote both go on from the
better answer, so that the answers to the next question can be compared too.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec

from tunesmith.daemon.api import private_files
from tunesmith.daemon.api.home import Home
from tunesmith.daemon.api.requests import ChatMessage
from tunesmith.daemon.api.tools import Tool
from tunesmith.recipes.data.parsing import tool_calls
from tunesmith.recipes.data.reasons import BadRow
from tunesmith.tui.conversation import ENDED, Turn, message, messages, question
from tunesmith.tui.plain import one_line
from tunesmith.tui.texts import t

Side = Literal["tuned", "base"]
Better = Literal["tuned", "base", "tie"]


class Message(msgspec.Struct, frozen=True, omit_defaults=True):
    """`tool_calls` with their arguments as objects, as chat templates take them."""

    role: str
    content: str
    tool_calls: tuple[dict[str, Any], ...] = ()
    tool_call_id: str = ""


class Row(msgspec.Struct, frozen=True, omit_defaults=True):
    """As data check reads it (`preference`); `better` is whose answer was chosen, for a person who counts."""

    prompt: tuple[Message, ...]
    chosen: tuple[Message, ...]
    rejected: tuple[Message, ...]
    better: Side
    tools: tuple[Tool, ...] = ()


class Cast(msgspec.Struct, frozen=True):
    """A vote: the conversations it was about, the line that it wrote (none of a tie), and how many are in `path`."""

    better: Better
    tuned: tuple[Turn, ...]
    base: tuple[Turn, ...]
    path: Path
    line: bytes = b""
    rows: int = 0


class Asking(msgspec.Struct, frozen=True):
    """Which of the two answers is better?"""


class Impossible(msgspec.Struct, frozen=True):
    """The two cannot be compared; `why` is for a person."""

    why: str


Stand = Asking | Cast | Impossible | None


class Refused(Exception):
    """What was chosen cannot be; says why to a person."""


def file(home: Home, job_id: int) -> Path:
    return home.preferences / f"run-{job_id}.jsonl"


def answered(turns: Sequence[Turn]) -> bool:
    """Whether it ends with an answer that came to an end."""
    return len(turns) >= 2 and turns[-1].role == "assistant" and turns[-1].state in ENDED


def obstacle(tuned: Sequence[Turn], base: Sequence[Turn], anew: str) -> str:
    """Why the last two answers cannot be compared, in words; "" where they can. Both are `answered`.

    A call of a tool is an answer too; behind a result only answers to the very same one can be compared. `anew` is
    what a person presses or types for a new chat.
    """
    sides = (tuned, base)
    sent, other = (heard(turns[:-1]) for turns in sides)
    if sent != other:
        asked, other = (heard(to_question(turns)) for turns in sides)
        return t("vote.results") if asked == other else t("vote.different", anew=anew)
    if any(told.images for told in sent.messages):
        return t("vote.images")
    if not all(turns[-1].text.strip() or turns[-1].calls for turns in sides):
        return t("vote.empty")
    if without_ids(message(tuned[-1])) == without_ids(message(base[-1])):
        return t("vote.same")
    try:
        row("tuned", tuned, base)
    except BadRow:
        return t("vote.bad_call")
    return ""


class Heard(NamedTuple):
    """What a model was told before its answer."""

    messages: tuple[ChatMessage, ...]
    tools: tuple[Tool, ...]


def heard(before: Sequence[Turn]) -> Heard:
    """In `before`, without the ids of calls: they are made up anew for each and say nothing."""
    asked = question(before)
    if asked is None:
        return Heard((), ())
    return Heard(tuple(map(without_ids, messages(before, asked.system))), asked.tools)


def without_ids(told: ChatMessage) -> ChatMessage:
    calls = tuple(msgspec.structs.replace(call, id="") for call in told.tool_calls)
    return msgspec.structs.replace(told, tool_calls=calls, tool_call_id="")


def to_question(turns: Sequence[Turn]) -> Sequence[Turn]:
    """Up to the last question."""
    return turns[: max((place + 1 for place, turn in enumerate(turns) if turn.role == "user"), default=0)]


def row(better: Side, tuned: Sequence[Turn], base: Sequence[Turn]) -> Row:
    """Raises BadRow for a call with arguments that are no JSON object, which no row can hold."""
    asked = question(tuned)
    system, tools = (asked.system, asked.tools) if asked is not None else ("", ())
    prompt = tuple(in_row(told, place) for place, told in enumerate(messages(tuned[:-1], system), 1))
    answers = {
        side: (in_row(message(turns[-1]), len(prompt) + 1),) for side, turns in (("tuned", tuned), ("base", base))
    }
    return Row(prompt, answers[better], answers["base" if better == "tuned" else "tuned"], better, tools)


def in_row(told: ChatMessage, place: int) -> Message:
    """Raises BadRow."""
    calls = tool_calls.calls(msgspec.to_builtins(list(told.tool_calls)), place) if told.tool_calls else ()
    return Message(told.role, told.content, tuple(calls), told.tool_call_id)


def rows_text(rows: int) -> str:
    return t("vote.row") if rows == 1 else t("vote.rows", rows=f"{rows:,}")


def cast_text(vote: Cast) -> str:
    if vote.better == "tie":
        return t("vote.said_tie")
    model = t(f"chat.{vote.better}")
    return t("vote.said", model=model, rows=rows_text(vote.rows), path=one_line(str(vote.path)))


def go_on(vote: Cast) -> dict[Side, tuple[Turn, ...]]:
    """Both conversations behind it: the other model's takes the better answer over, of a tie the tuned model's."""
    kept: Side = "base" if vote.better == "base" else "tuned"
    sides: dict[Side, tuple[Turn, ...]] = {"tuned": vote.tuned, "base": vote.base}
    note = t("vote.taken_over", model=t(f"chat.{kept}"))
    taken = msgspec.structs.replace(sides[kept][-1], note=note, used=0, context=0)
    other: Side = "tuned" if kept == "base" else "base"
    sides[other] = (*sides[other][:-1], taken)
    return sides


class Ballot:
    """The votes of a chat with one run; `last` is the one that can be taken back."""

    def __init__(self, home: Home, job_id: int, anew: str) -> None:
        self.path, self._anew = file(home, job_id), anew
        self.last: Cast | None = None

    def stand(self, tuned: tuple[Turn, ...], base: tuple[Turn, ...]) -> Stand:
        """What there is to say of the last two answers; None where there are no two."""
        if not (answered(tuned) and answered(base)):
            return None
        if self.last is not None and (self.last.tuned, self.last.base) == (tuned, base):
            return self.last
        why = obstacle(tuned, base, self._anew)
        return Impossible(why) if why else Asking()

    def vote(self, better: Better, tuned: tuple[Turn, ...], base: tuple[Turn, ...]) -> None:
        """Write the row; nothing for a tie, and nothing where there is no question. Raises Refused, TunesmithError."""
        if not isinstance(self.stand(tuned, base), Asking):
            return
        if better == "tie":
            self.last = Cast(better, tuned, base, self.path)
            return
        if (tuned if better == "tuned" else base)[-1].state == "cut":
            raise Refused(t("vote.cut"))
        line = msgspec.json.encode(row(better, tuned, base)) + b"\n"
        self.last = Cast(better, tuned, base, self.path, line, private_files.append(self.path, line))

    def take_back(self) -> str:
        """The last one; what there is to say then. Raises MachineError, also where another row was written since."""
        if self.last is None:
            return ""
        line, rows = self.last.line, 0
        if line:
            rows = private_files.take_back(self.path, line)
        self.last = None
        path = one_line(str(self.path))
        return t("vote.taken_back", rows=rows_text(rows), path=path) if line else t("vote.tie_taken_back")
