"""Talk with a tuned model, with its base, or with both side by side."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.reactive import reactive
from textual.screen import Screen
from textual.widgets import Input, Static

from tunesmith.tui.plain import one_line
from tunesmith.tui.texts import t
from tunesmith.tui.watch import Clients
from tunesmith.tui.widgets.chat_pane import ChatPane, Turn
from tunesmith.tui.widgets.key_bar import KeyBar

SHOWN = {"tuned": (True, False), "base": (False, True), "split": (True, True)}


class ChatScreen(Screen[None]):
    """Each model keeps its own conversation; a question goes to the models that are shown."""

    DEFAULT_CSS = """
    ChatScreen #chat-title { height: 1; padding: 0 1; background: $panel; }
    ChatScreen #panes { height: 1fr; }
    ChatScreen #system { display: none; border: round $secondary; height: 3; }
    ChatScreen #system.-open { display: block; }
    ChatScreen #question { border: round $primary 60%; height: 3; }
    ChatScreen #question:focus { border: round $primary; }
    """
    AUTO_FOCUS = "#question"
    # Letters belong to the question; so each key has a function key beside it that works while typing.
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f2", "base", "chat.key_base"),
        Binding("f3", "split", "chat.key_split"),
        Binding("f4", "system", "chat.key_system"),
        Binding("b", "base", "chat.key_base", show=False),
        Binding("s", "split", "chat.key_split", show=False),
        Binding("p", "system", "chat.key_system", show=False),
        Binding("ctrl+c", "stop", "chat.key_stop", show=False, priority=True),
        Binding("f5", "clear", "chat.key_clear"),
        Binding("escape", "close_screen", "chat.key_leave", priority=True),
    ]

    mode: reactive[str] = reactive("tuned")
    system: reactive[str] = reactive("")

    def __init__(self, clients: Clients, job_id: int, *, name: str = "", base: bool = False) -> None:
        super().__init__()
        self._clients, self.job_id, self.job_name = clients, job_id, name
        self._said: dict[bool, tuple[Turn, ...]] = {False: (), True: ()}
        self.set_reactive(ChatScreen.mode, "base" if base else "tuned")

    def compose(self) -> ComposeResult:
        yield Static(id="chat-title", markup=False)
        with Horizontal(id="panes"):
            for name, base in (("tuned", False), ("base", True)):
                yield ChatPane(self._clients, self.job_id, base=base, turns=self._said[base], id=name)
        system = Input(self.system, placeholder=t("chat.system_placeholder"), id="system")
        system.border_title = t("chat.system")
        yield system
        yield Input(placeholder=t("chat.placeholder"), id="question")
        yield KeyBar()
        self.call_after_refresh(self._composed)  # also after a change of language, which mounts nothing anew

    def _composed(self) -> None:
        self._draw()
        self.query_one("#question", Input).focus()

    @on(ChatPane.Said)
    def _keep(self, message: ChatPane.Said) -> None:
        self._said[message.base] = message.turns

    @property
    def panes(self) -> list[ChatPane]:
        """Those shown."""
        both = (self.query_one("#tuned", ChatPane), self.query_one("#base", ChatPane))
        return [pane for pane, shown in zip(both, SHOWN[self.mode], strict=True) if shown]

    @property
    def busy(self) -> bool:
        return any(pane.busy for pane in self.query(ChatPane))

    def watch_mode(self) -> None:
        if self.is_mounted:
            self._draw()

    def watch_system(self) -> None:
        if self.is_mounted:
            self._draw()

    def _draw(self) -> None:
        for pane in self.query(ChatPane):
            pane.display = pane in self.panes
        parts: list[Content | str | tuple[str, str]] = [
            (t("chat.title", id=self.job_id), "bold"), f"  {one_line(self.job_name)}".rstrip(), "  ",
            (t(f"chat.mode_{self.mode}"), "$primary")
        ]  # fmt: skip
        if self.system.strip():
            parts.append((f"  · {t('chat.system_set')}", "$foreground 60%"))
        self.query_one("#chat-title", Static).update(Content.assemble(*parts))

    @on(Input.Submitted, "#question")
    def _submitted(self, event: Input.Submitted) -> None:
        text = event.value.strip()
        if not text or any(pane.busy for pane in self.panes):
            return
        event.input.clear()
        if text.startswith("/"):
            self._command(text)
            return
        for pane in self.panes:
            pane.ask(text, self.system)

    def _command(self, text: str) -> None:
        command, _, rest = text[1:].partition(" ")
        match command:
            case "clear":
                self.action_clear()
            case "base":
                self.action_base()
            case "split":
                self.action_split()
            case "system":
                self.system = rest.strip()
                self.query_one("#system", Input).value = self.system
            case "quit" | "exit":
                self.dismiss(None)
            case _:
                self.notify(t("chat.commands"), markup=False)

    @on(Input.Changed, "#system")
    def _system_changed(self, event: Input.Changed) -> None:
        self.system = event.value

    @on(Input.Submitted, "#system")
    def _system_done(self) -> None:
        self.action_system()

    def action_base(self) -> None:
        self.mode = "tuned" if self.mode == "base" else "base"

    def action_split(self) -> None:
        self.mode = "tuned" if self.mode == "split" else "split"

    def action_system(self) -> None:
        """Open the line of the system prompt, or close it; what it says stays."""
        line = self.query_one("#system", Input)
        line.toggle_class("-open")
        (line if line.has_class("-open") else self.query_one("#question", Input)).focus()

    def action_clear(self) -> None:
        for pane in self.query(ChatPane):
            pane.clear()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        # Without an answer under way ctrl+c stays what it is elsewhere: copy.
        return self.busy if action == "stop" else True

    def action_stop(self) -> None:
        for pane in self.query(ChatPane):
            pane.stop()

    def action_close_screen(self) -> None:
        """Stop the answer; with none under way, close the system prompt or the screen."""
        if self.busy:
            self.action_stop()
        elif self.query_one("#system").has_class("-open"):
            self.action_system()
        else:
            self.dismiss(None)
