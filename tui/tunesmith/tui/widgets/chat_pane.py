"""One conversation with one model: what was said, what is being said, and how fast."""

from __future__ import annotations

import asyncio

import msgspec
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widgets import Static
from textual.worker import Worker

from tunesmith.daemon.api.images import Attached
from tunesmith.daemon.api.requests import Chat, ChatCalled, ChatDelta, ChatMessage
from tunesmith.daemon.api.tools import Tool, ToolCall
from tunesmith.recipes.errors import TunesmithError
from tunesmith.tui.answering import Answer, fill_text
from tunesmith.tui.conversation import Turn, fill, messages, pending, question
from tunesmith.tui.plain import one_line, plain
from tunesmith.tui.texts import t
from tunesmith.tui.tool_text import called_in_lines
from tunesmith.tui.watch import Clients
from tunesmith.tui.widgets.attached_images import image_text
from tunesmith.tui.widgets.following import Following

DRAW_INTERVAL_S = 0.05


class ChatPane(Vertical):
    """`ask(text)` streams an answer to it; `stop()` ends the answer and keeps what came."""

    DEFAULT_CSS = """
    ChatPane { width: 1fr; height: 1fr; border: round $border-blurred; padding: 0 1;
               border-title-style: bold; border-title-color: $foreground; border-subtitle-color: $primary; }
    ChatPane.-busy { border: round $primary; }
    ChatPane.-nearly-full { border-subtitle-color: $warning; }
    ChatPane Following { height: 1fr; }
    ChatPane .turn { height: auto; margin: 0 0 1 0; }
    ChatPane .turn:last-child { margin: 0; }
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

    def ask(self, text: str, system: str, images: tuple[Attached, ...] = (), tools: tuple[Tool, ...] = ()) -> None:
        """Add `text` with its images to the conversation and stream the answer; nothing while one is under way.

        For it the model may call `tools`.
        """
        if not self.busy:
            self._go_on((*self.turns, Turn("user", text, images=images, system=system, tools=tools)))

    def give(self, text: str) -> None:
        """What the tool gave back for the first call that waits; once none does, the model goes on."""
        if self.busy or not (waiting := pending(self.turns)):
            return
        turns = (*self.turns, Turn("tool", text, calls=waiting[:1]))
        if pending(turns):
            self.turns = turns
        else:
            self._go_on(turns)

    def take_back(self) -> Turn | None:
        """The question whose calls wait for results: it stays in sight, and is not sent again."""
        if self.busy or not pending(self.turns):
            return None
        self.turns = (*self.turns, Turn("assistant", "", "stopped", t("chat.taken_back")))
        return question(self.turns)

    def _go_on(self, turns: tuple[Turn, ...]) -> None:
        """Stream the answer to what was said last, as the question was asked."""
        asked = question(turns)
        system, tools = (asked.system, asked.tools) if asked is not None else ("", ())
        self.turns = (*turns, Turn("assistant", "", "streaming"))
        self.busy = True
        self._worker = self.run_worker(self._stream(messages(turns, system), tools), exit_on_error=True)

    def stop(self) -> None:
        if self._worker is not None and self.busy:
            self._worker.cancel()

    def clear(self) -> None:
        self.stop()
        self.turns = ()

    async def _stream(self, sent: tuple[ChatMessage, ...], tools: tuple[Tool, ...]) -> None:
        loop = asyncio.get_running_loop()
        answer, drawn_at = Answer(), loop.time()
        try:
            client = await self._clients()
            async for event in client.chat(self._job_id, Chat(sent, base=self.base, tools=tools)):
                answer.hear(event)
                due = isinstance(event, ChatDelta) and loop.time() - drawn_at >= DRAW_INTERVAL_S
                if due or isinstance(event, ChatCalled):
                    drawn_at = loop.time()
                    self._last(msgspec.structs.replace(answer.turn, state="streaming"))
        except TunesmithError as error:
            answer.fail(error)
        finally:
            self.busy = False
            self._last(answer.turn)

    def _last(self, turn: Turn) -> None:
        if self.turns and self.turns[-1].state == "streaming":  # else another conversation is shown by now
            self.turns = (*self.turns[:-1], turn)

    def watch_busy(self, busy: bool) -> None:
        self.set_class(busy, "-busy")
        self._draw_subtitle()

    def on_resize(self) -> None:
        self._draw_subtitle()

    def _draw_subtitle(self) -> None:
        """How full the model's context is, in as many words as there is room for."""
        filled = fill(self.turns)
        self.set_class(not self.busy and filled is not None and filled.nearly_full, "-nearly-full")
        if self.busy or filled is None:
            self.border_subtitle = t("chat.answering") if self.busy else ""
        else:
            self.border_subtitle = fill_text(filled, "f5", self.size.width - 2)

    async def watch_turns(self, old: tuple[Turn, ...], new: tuple[Turn, ...]) -> None:
        """Redraw what changed: usually the last turn alone."""
        self.post_message(self.Said(self.base, new))
        if not self.is_mounted:
            return
        self._draw_subtitle()
        scroll = self.query_one(Following)
        shown = list(scroll.query(Static))
        for index, turn in enumerate(new):
            if index >= len(shown):
                await scroll.mount(Static(draw(turn, self.base), classes="turn", markup=False))
            elif index >= len(old) or old[index] != turn:
                shown[index].update(draw(turn, self.base))
        await scroll.remove_children(shown[max(1, len(new)) :])
        if not new:
            shown[0].update(_empty(self.base))
        if len(new) > len(old):  # what is asked is seen, however far one had scrolled up
            scroll.follow_end()


def draw(turn: Turn, base: bool) -> Content:
    if turn.role == "user":
        seen = [(f"{image_text(image)}\n", "$secondary") for image in turn.images]
        return Content.assemble((f"{t('chat.you')}\n", "bold $secondary"), *seen, plain(turn.text))
    if turn.role == "tool":
        name = one_line(turn.calls[0].function.name) if turn.calls else ""
        return Content.assemble((f"{t('chat.returned', tool=name)}\n", "bold $secondary"), plain(turn.text))
    who = t("chat.base") if base else t("chat.tuned")
    said = [*([Content(plain(turn.text))] if turn.text else []), *map(_call_text, turn.calls)]
    parts: list[Content | str | tuple[str, str]] = [(f"{who}\n", "bold $primary"), Content("\n").join(said)]
    below = "\n" if said else ""
    match turn.state:
        case "streaming":
            parts.append(("▌", "$primary"))
        case "stopped":
            parts.append((f"{below}■ {turn.note or t('chat.stopped')}", "$warning"))
        case "failed":
            parts.append((f"{below}✗ {plain(turn.note)}", "$error"))
        case "said" | "cut":
            parts.append((f"{below}{turn.note}", "$foreground 60%"))
    return Content.assemble(*parts)


def _call_text(call: ToolCall) -> Content:
    return Content.assemble(("ƒ ", "$secondary bold"), called_in_lines(call))


def _empty(base: bool) -> Content:
    return Content.styled(t("chat.empty_base") if base else t("chat.empty_tuned"), "$foreground 60%")
