"""One conversation with one model: what was said, what is being said, and how fast."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widgets import Static
from textual.worker import Worker

from tunesmith.daemon.api.images import Attached
from tunesmith.daemon.api.requests import Chat, ChatDelta, ChatDone, ChatFailed, ChatMessage
from tunesmith.recipes.errors import TunesmithError
from tunesmith.tui.explained import sentences
from tunesmith.tui.plain import plain
from tunesmith.tui.texts import t
from tunesmith.tui.watch import Clients
from tunesmith.tui.widgets.attached_images import image_text
from tunesmith.tui.widgets.following import Following

DRAW_INTERVAL_S = 0.05


class Turn(msgspec.Struct, frozen=True):
    """`state` is said, streaming, stopped or failed; a failed turn is shown but not sent again."""

    role: str
    text: str
    state: str = "said"
    note: str = ""
    images: tuple[Attached, ...] = ()


class ChatPane(Vertical):
    """`ask(text)` streams an answer to it; `stop()` ends the answer and keeps what came."""

    DEFAULT_CSS = """
    ChatPane { width: 1fr; height: 1fr; border: round $border-blurred; padding: 0 1;
               border-title-style: bold; border-title-color: $foreground; border-subtitle-color: $primary; }
    ChatPane.-busy { border: round $primary; }
    ChatPane Following { height: 1fr; }
    ChatPane .turn { height: auto; margin: 0 0 1 0; }
    """

    class Said(Message):
        """The conversation is this now; the screen keeps it."""

        def __init__(self, base: bool, turns: tuple[Turn, ...]) -> None:
            super().__init__()
            self.base, self.turns = base, turns

    turns: reactive[tuple[Turn, ...]] = reactive(())
    busy: reactive[bool] = reactive(False)

    def __init__(self, clients: Clients, job_id: int, *, base: bool, turns: tuple[Turn, ...] = (), id: str) -> None:
        super().__init__(id=id)
        self._clients, self._job_id, self.base = clients, job_id, base
        self._worker: Worker[None] | None = None
        self.set_reactive(ChatPane.turns, turns)

    def compose(self) -> ComposeResult:
        self.border_title = t("chat.base") if self.base else t("chat.tuned")
        with Following(can_focus=True):
            for turn in self.turns:
                yield Static(draw(turn, self.base), classes="turn", markup=False)
            if not self.turns:
                yield Static(_empty(self.base), classes="turn", markup=False)

    def ask(self, text: str, system: str, images: tuple[Attached, ...] = ()) -> None:
        """Add `text` with its images to the conversation and stream the answer; nothing while one is under way."""
        if self.busy:
            return
        self.turns = (*self.turns, Turn("user", text, images=images), Turn("assistant", "", "streaming"))
        self.busy = True
        self._worker = self.run_worker(self._stream(messages(self.turns[:-1], system)), exit_on_error=True)

    @property
    def urls(self) -> list[str]:
        """Of the images that go with the next question by themselves: those of the questions before it."""
        return [url for message in messages(self.turns, "") for url in message.images]

    def stop(self) -> None:
        if self._worker is not None and self.busy:
            self._worker.cancel()

    def clear(self) -> None:
        self.stop()
        self.turns = ()

    async def _stream(self, sent: tuple[ChatMessage, ...]) -> None:
        loop = asyncio.get_running_loop()
        text, note, state = "", "", "stopped"
        drawn_at = loop.time()
        try:
            client = await self._clients()
            async for event in client.chat(self._job_id, Chat(sent, base=self.base)):
                match event:
                    case ChatDelta():
                        text += event.text
                        if loop.time() - drawn_at >= DRAW_INTERVAL_S:
                            drawn_at = loop.time()
                            self._last(Turn("assistant", text, "streaming"))
                    case ChatDone():
                        state, note = "said", done_text(event)
                    case ChatFailed():
                        state, note = "failed", sentences(event)
        except TunesmithError as error:
            state, note = "failed", sentences(error)
        finally:
            self._last(Turn("assistant", text, state, note))
            self.busy = False

    def _last(self, turn: Turn) -> None:
        if self.turns:  # cleared while streaming: there is nothing to replace
            self.turns = (*self.turns[:-1], turn)

    def watch_busy(self, busy: bool) -> None:
        self.set_class(busy, "-busy")
        self.border_subtitle = t("chat.answering") if busy else ""

    async def watch_turns(self, old: tuple[Turn, ...], new: tuple[Turn, ...]) -> None:
        """Redraw what changed: usually the last turn alone."""
        self.post_message(self.Said(self.base, new))
        if not self.is_mounted:
            return
        scroll = self.query_one(Following)
        at_end = scroll.at_end or len(new) > len(old)
        shown = list(scroll.query(Static))
        for index, turn in enumerate(new):
            if index >= len(shown):
                await scroll.mount(Static(draw(turn, self.base), classes="turn", markup=False))
            elif index >= len(old) or old[index] != turn:
                shown[index].update(draw(turn, self.base))
        if not new:
            await scroll.remove_children(shown[1:])
            shown[0].update(_empty(self.base))
        if at_end:
            scroll.follow_end()


def messages(turns: Sequence[Turn], system: str) -> tuple[ChatMessage, ...]:
    """What is sent: the system prompt when there is one, then the turns that the model should know."""
    sent = [ChatMessage("system", system)] if system.strip() else []
    for index, turn in enumerate(turns):
        following = turns[index + 1] if index + 1 < len(turns) else None
        unanswered = turn.role == "user" and following is not None and not following.text
        if turn.text and not unanswered:
            sent.append(ChatMessage(turn.role, turn.text, tuple(image.url for image in turn.images)))
    return tuple(sent)


def done_text(done: ChatDone) -> str:
    speed = t("chat.speed", tokens=done.tokens, speed=f"{done.tokens_per_second:.1f}")
    return f"{speed} · {t('chat.cut')}" if done.finish_reason == "length" else speed


def draw(turn: Turn, base: bool) -> Content:
    if turn.role == "user":
        seen = [(f"{image_text(image)}\n", "$secondary") for image in turn.images]
        return Content.assemble((f"{t('chat.you')}\n", "bold $secondary"), *seen, plain(turn.text))
    who = t("chat.base") if base else t("chat.tuned")
    parts: list[Content | str | tuple[str, str]] = [(f"{who}\n", "bold $primary"), plain(turn.text)]
    match turn.state:
        case "streaming":
            parts.append(("▌", "$primary"))
        case "stopped":
            parts.append((f"\n■ {t('chat.stopped')}", "$warning"))
        case "failed":
            parts.append((f"{chr(10) if turn.text else ''}✗ {plain(turn.note)}", "$error"))
        case "said":
            parts.append((f"\n{turn.note}", "$foreground 60%"))
    return Content.assemble(*parts)


def _empty(base: bool) -> Content:
    return Content.styled(t("chat.empty_base") if base else t("chat.empty_tuned"), "$foreground 60%")
