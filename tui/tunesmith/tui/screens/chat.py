"""Talk with a tuned model, with its base, or with both side by side."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.reactive import reactive
from textual.screen import Screen
from textual.widgets import Input, Static

from tunesmith.daemon.api.home import Home
from tunesmith.daemon.api.images import Attached
from tunesmith.daemon.api.tools import Tool
from tunesmith.recipes.errors import DataError, TunesmithError
from tunesmith.tui import tool_results, votes
from tunesmith.tui.chat_sides import Sides
from tunesmith.tui.plain import one_line, well_formed
from tunesmith.tui.saved_chats import Mode
from tunesmith.tui.screens.chat_files import REFUSED_FOR_S, ChatFiles, refused
from tunesmith.tui.screens.chat_saving import Saving
from tunesmith.tui.screens.chat_typed import obey
from tunesmith.tui.texts import t
from tunesmith.tui.watch import Clients
from tunesmith.tui.widgets.attached_images import AttachedImages
from tunesmith.tui.widgets.chat_pane import ChatPane
from tunesmith.tui.widgets.key_bar import KeyBar
from tunesmith.tui.widgets.question_line import QuestionLine
from tunesmith.tui.widgets.tools_line import ToolsLine
from tunesmith.tui.widgets.vote_bar import VoteBar


class ChatScreen(Screen[None]):
    """Each model keeps its own conversation; a question goes to the models that are shown."""

    DEFAULT_CSS = """
    ChatScreen #chat-title { height: 1; padding: 0 1; background: $panel; }
    ChatScreen #panes { height: 1fr; }
    ChatScreen #system { display: none; border: round $secondary; height: 3; }
    ChatScreen #system.-open { display: block; }
    """
    AUTO_FOCUS = "#question"
    # Letters belong to the question; so each key has a function key beside it that works while typing.
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f2", "base", "chat.key_base"),
        Binding("f3", "split", "chat.key_split"),
        Binding("f4", "system", "chat.key_system"),
        Binding("f6", "image", "chat.key_image"),
        Binding("f7", "take_back", "chat.key_take_back", show=False),
        Binding("b", "base", "chat.key_base", show=False),
        Binding("s", "split", "chat.key_split", show=False),
        Binding("p", "system", "chat.key_system", show=False),
        Binding("i", "image", "chat.key_image", show=False),
        Binding("t", "tools", "chat.key_tools", show=False),
        Binding("ctrl+c", "stop", "chat.key_stop", show=False, priority=True),
        Binding("f5", "clear", "chat.key_clear"),
        Binding("o", "saved", "chat.key_saved", show=False),
        # Shown above the question, while there is something to vote on.
        Binding("f8,1", "vote('tuned')", "vote.key_tuned", show=False),
        Binding("f9,2", "vote('base')", "vote.key_base", show=False),
        Binding("ctrl+n,0", "vote('tie')", "vote.key_tie", show=False),
        Binding("ctrl+z,u", "take_back_vote", "vote.key_take_back", show=False),
        Binding("escape", "close_screen", "chat.key_leave", priority=True),
        Binding("f10", "tools", "chat.key_tools"),
        Binding("ctrl+o", "saved", "chat.key_saved"),
    ]

    mode: reactive[Mode] = reactive("tuned")
    system: reactive[str] = reactive("")
    attached: reactive[tuple[Attached, ...]] = reactive(())
    tools: reactive[tuple[Tool, ...]] = reactive(())

    def __init__(
        self, clients: Clients, job_id: int, *, name: str = "", base: bool = False, home: Home | None = None
    ) -> None:
        super().__init__()
        self.home = home or Home.find()
        self.sides = Sides(self.home, job_id, "base" if base else "tuned", anew="f5")
        self._saving = Saving(self, self.sides.keeper)
        self._clients, self.job_id, self.job_name = clients, job_id, name
        self.files = ChatFiles(self, clients, job_id)
        self._typed: dict[tool_results.Wanted | None, str] = {}
        self.set_reactive(ChatScreen.mode, self.sides.mode)

    def compose(self) -> ComposeResult:
        yield Static(id="chat-title", markup=False)
        with Horizontal(id="panes"):
            for name, base in (("tuned", False), ("base", True)):
                yield ChatPane(self._clients, self.job_id, base=base, turns=self.sides.said[base], id=name)
        system = Input(self.system, placeholder=t("chat.system_placeholder"), id="system")
        system.border_title = t("chat.system")
        yield system
        yield VoteBar(self.sides.stand)
        yield ToolsLine(self.tools)
        yield AttachedImages(self.attached)
        yield QuestionLine(self._typed, id="question")
        yield KeyBar()
        self.call_after_refresh(self._composed)  # also after a change of language, which mounts nothing anew

    def _composed(self) -> None:
        self._draw()
        self.line.focus()

    @property
    def line(self) -> QuestionLine:
        return self.query_one(QuestionLine)

    @on(ChatPane.Said)
    def _keep(self, message: ChatPane.Said) -> None:
        if any(pane.base == message.base and pane.turns is not message.turns for pane in self.query(ChatPane)):
            return  # by now it is another one, of which word comes too
        self.sides.said[message.base] = message.turns
        self._draw_foot()
        if not message.turns or message.turns[-1].state != "streaming" or not message.turns[-1].text:
            self._save()

    def _save(self) -> None:
        if self.sides.keep():
            self._saving.begin()

    def on_unmount(self) -> None:
        self._saving.end()

    @property
    def panes(self) -> list[ChatPane]:
        """Those shown."""
        return [self._pane(base) for base in self.sides.shown]

    def _pane(self, base: bool) -> ChatPane:
        return self.query_one("#base" if base else "#tuned", ChatPane)

    @property
    def busy(self) -> bool:
        return any(pane.busy for pane in self.query(ChatPane))

    def watch_mode(self, mode: Mode) -> None:
        self.sides.mode = mode
        if self.is_mounted:
            self._draw()

    def validate_system(self, system: str) -> str:
        return well_formed(system)

    def watch_system(self, system: str) -> None:
        self.sides.system = system
        if self.is_mounted:
            self._draw()

    def _draw_foot(self) -> None:
        """The votes, and what is to be typed: the result of a call that a model waits for, or a question."""
        for bar in self.query(VoteBar):  # none while it is composed in another language
            bar.shows = self.sides.stand
        for line in self.query(QuestionLine):
            sides = {base: self.sides.on_from_better[base] for base in self.sides.shown}
            wanted = tool_results.wanted(sides, line.wanted)
            if wanted is not None and wanted != line.wanted:
                line.offer(wanted, tool_results.given_before(sides, wanted))
            line.wanted = wanted

    @on(VoteBar.Chosen)
    def _chosen(self, message: VoteBar.Chosen) -> None:
        if message.better is None:
            self.action_take_back_vote()
        else:
            self.action_vote(message.better)
        self.line.focus()

    def action_vote(self, better: votes.Better) -> None:
        """Write down which answer is better."""
        try:
            self.sides.vote(better)
        except votes.Refused as error:
            self.notify(str(error), severity="warning", markup=False, timeout=REFUSED_FOR_S)
        except TunesmithError as error:
            refused(self, error)
        self._draw_foot()

    def action_take_back_vote(self) -> None:
        """The last one, also after the next question was asked."""
        try:
            self.notify(self.sides.ballot.take_back() or t("talk.no_vote"), markup=False)
        except TunesmithError as error:
            refused(self, error)
        self._draw_foot()

    def _go_on_from_better(self) -> None:
        if isinstance(self.sides.stand, votes.Cast):
            for base, turns in self.sides.on_from_better.items():
                self._pane(base).turns = turns

    def _draw(self) -> None:
        self._draw_foot()
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
        if self.line.wanted is not None:
            self._give(self.line.wanted, text)
        elif any(pane.busy for pane in self.panes):
            return
        elif text.startswith("/"):
            event.input.clear()
            obey(self, text)
        elif text and self._may_send():
            event.input.clear()
            self._go_on_from_better()
            for pane in self.panes:
                pane.ask(text, self.system, self.attached, self.tools)
            self.attached = ()
        elif self.attached and not text:
            self.notify(t("chat.image_needs_text"), severity="warning", markup=False)

    def _give(self, wanted: tool_results.Wanted, text: str) -> None:
        """The result of that call to the model that waits for it."""
        if not text:
            self.notify(t("chat.result_needed"), severity="warning", markup=False)
            return
        self.line.clear()
        self._go_on_from_better()
        self._pane(wanted.base).give(text)

    def _take_back_question(self) -> None:
        """The one whose calls wait for results: it can be asked again, as it was or otherwise."""
        self._go_on_from_better()
        for asked in filter(None, [pane.take_back() for pane in self.panes]):
            self.line.offer(None, asked.text)
            self.attached = self.attached or asked.images

    def _may_send(self) -> bool:
        """Each model has its own conversation, with images of its own."""
        try:
            self.sides.refuse_too_many(self.attached)
        except DataError as error:
            refused(self, error)
            return False
        return True

    def watch_attached(self, attached: tuple[Attached, ...]) -> None:
        if self.is_mounted:
            self.query_one(AttachedImages).images = attached
            self.refresh_bindings()

    def watch_tools(self, tools: tuple[Tool, ...]) -> None:
        self.sides.tools = tools
        for line in self.query(ToolsLine):
            line.tools = tools

    def set_system(self, text: str) -> None:
        self.system = self.query_one("#system", Input).value = text

    @on(Input.Changed, "#system")
    def _system_changed(self, event: Input.Changed) -> None:
        self.system = event.value

    @on(Input.Submitted, "#system")
    def _system_done(self) -> None:
        self.action_system()

    def action_base(self) -> None:
        self.mode = self.sides.switched("base")

    def action_split(self) -> None:
        self.mode = self.sides.switched("split")

    def action_system(self) -> None:
        """Open the line of the system prompt, or close it; what it says stays."""
        line = self.query_one("#system", Input)
        line.toggle_class("-open")
        (line if line.has_class("-open") else self.line).focus()

    def action_clear(self) -> None:
        """Begin a new chat; this one is among the saved ones."""
        self.sides.begin()
        for pane in self.query(ChatPane):
            pane.clear()
        self._draw_foot()

    @work(exclusive=True, group="saved")
    async def action_saved(self) -> None:
        """Look for an earlier chat of this run, and go on with it."""
        from tunesmith.tui.screens.saved_chats import SavedChatsScreen

        if (found := await self.app.push_screen_wait(SavedChatsScreen(self.home, self.job_id))) is None:
            return
        self.action_stop()
        self.sides.begin(found)
        self.mode, self.tools = self.sides.mode, self.sides.tools
        self.set_system(self.sides.system)
        for pane in self.query(ChatPane):
            pane.turns = self.sides.said[pane.base]
        self._draw()

    def action_image(self) -> None:
        """Pick one; said before that where the model takes none."""
        self.attach()

    @work(exclusive=True, group="image")
    async def attach(self, path: Path | None = None) -> None:
        if (found := await self.files.image(path, self.sides.urls(self.attached))) is not None:
            self.attached = (*self.attached, found)

    @on(ToolsLine.TakenAway)
    def action_tools(self) -> None:
        """Pick a file of them; take away those that are in force."""
        if self.tools:
            self.tools = ()
            self.line.focus()
        else:
            self.use_tools()

    @work(exclusive=True, group="tools")
    async def use_tools(self, path: Path | None = None) -> None:
        if (found := await self.files.tools(path)) is not None:
            self.tools = found

    @on(AttachedImages.TakenBack)
    def _taken_back(self, message: AttachedImages.TakenBack) -> None:
        self.attached = tuple(image for image in self.attached if image is not message.image)
        self.line.focus()

    def action_take_back(self) -> None:
        """The one that was attached last."""
        self.attached = self.attached[:-1]

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        # Without an answer under way ctrl+c stays what it is elsewhere: copy.
        match action:
            case "stop":
                return self.busy
            case "take_back":
                return bool(self.attached)
            case "vote":
                return isinstance(self.sides.stand, votes.Asking)
            case "take_back_vote":
                return self.sides.ballot.last is not None
        return True

    def action_stop(self) -> None:
        for pane in self.query(ChatPane):
            pane.stop()

    def action_close_screen(self) -> None:
        """Stop the answer; with none under way, close the system prompt, take the question back, or leave."""
        if self.busy:
            self.action_stop()
        elif self.query_one("#system").has_class("-open"):
            self.action_system()
        elif self.line.wanted is not None:
            self._take_back_question()
        else:
            self.dismiss(None)
