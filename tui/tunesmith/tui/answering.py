"""An answer of a model as it comes: what is heard of it becomes a turn, with its speed and how full the context is."""

from __future__ import annotations

import msgspec
from rich.cells import cell_len

from tunesmith.daemon.api.requests import ChatCalled, ChatDelta, ChatDone, ChatEvent, ChatFailed
from tunesmith.daemon.api.tools import ToolCall
from tunesmith.tui.conversation import Fill, State, Turn
from tunesmith.tui.explained import Coded, sentences
from tunesmith.tui.texts import t

GAUGE_CELLS = 8


class Answer:
    """`hear` each event; `turn` is the answer as far as it came, stopped where nothing said that it ended."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self.calls: list[ToolCall] = []
        self.done: ChatDone | None = None
        self._failed = ""

    def hear(self, event: ChatEvent) -> None:
        match event:
            case ChatDelta(text=text):
                self._parts.append(text)
            case ChatCalled(call=call):
                self.calls.append(call)
            case ChatDone():
                self.done = event
            case ChatFailed():
                self.fail(event)

    def fail(self, error: Coded) -> None:
        self._failed = sentences(error)

    @property
    def text(self) -> str:
        return "".join(self._parts)

    @property
    def turn(self) -> Turn:
        said = Turn("assistant", self.text, "stopped", calls=tuple(self.calls))
        if self._failed:
            return msgspec.structs.replace(said, state="failed", note=self._failed)
        if self.done is None:
            return said
        state: State = "cut" if self.done.finish_reason == "length" else "said"
        used = self.done.prompt_tokens + self.done.tokens
        context = self.done.context_tokens
        return msgspec.structs.replace(said, state=state, note=done_text(self.done), used=used, context=context)


def done_text(done: ChatDone) -> str:
    speed = t("chat.speed", tokens=done.tokens, speed=f"{done.tokens_per_second:.1f}")
    return f"{speed} · {t('chat.cut')}" if done.finish_reason == "length" else speed


def fill_texts(filled: Fill, anew: str) -> tuple[str, ...]:
    """From the longest to the shortest; nearly full is said in each. `anew` is what is pressed for a new chat."""
    percent = t("chat.context_short", percent=f"{100 * filled.share:.0f}")
    if filled.nearly_full:
        percent = f"⚠ {percent}"
    full = round(GAUGE_CELLS * min(1.0, filled.share))
    bar = "━" * full + "─" * (GAUGE_CELLS - full)
    figures = t("chat.context", used=f"{filled.used:,}", context=f"{filled.context:,}")
    hints = (t("chat.context_full", anew=anew),) if filled.nearly_full else ()
    said = ((f"{bar} {percent}", figures, *hints), (f"{bar} {percent}", *hints), (percent, *hints), (percent,))
    return tuple(" · ".join(parts) for parts in said)


def fill_text(filled: Fill, anew: str, cells: int) -> str:
    """In as many words as there is room for."""
    said = fill_texts(filled, anew)
    return next((text for text in said if cell_len(text) <= cells), said[-1])
