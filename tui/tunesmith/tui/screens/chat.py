"""Talk with a tuned model, with its base, or with both side by side."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
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

from tunesmith.daemon.api import images
from tunesmith.daemon.api.home import Home
from tunesmith.daemon.api.images import Attached
from tunesmith.recipes.errors import DataError, TunesmithError
from tunesmith.tui import attaching, votes
from tunesmith.tui.conversation import Turn
from tunesmith.tui.explained import Coded, sentences
from tunesmith.tui.plain import one_line, well_formed
from tunesmith.tui.saved_chats import Keeper, Mode
from tunesmith.tui.texts import t
from tunesmith.tui.watch import Clients
from tunesmith.tui.widgets.attached_images import AttachedImages
from tunesmith.tui.widgets.chat_pane import ChatPane
from tunesmith.tui.widgets.key_bar import KeyBar
from tunesmith.tui.widgets.vote_bar import VoteBar

REFUSED_FOR_S = 10  # a sentence and a way out take longer to read than a notice
SUFFIXES = (*images.SUFFIXES, *(suffix.upper() for suffix in images.SUFFIXES))  # cameras write .JPG
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
        Binding("f6", "image", "chat.key_image"),
        Binding("f7", "take_back", "chat.key_take_back", show=False),
        Binding("b", "base", "chat.key_base", show=False),
        Binding("s", "split", "chat.key_split", show=False),
        Binding("p", "system", "chat.key_system", show=False),
        Binding("i", "image", "chat.key_image", show=False),
        Binding("ctrl+c", "stop", "chat.key_stop", show=False, priority=True),
        Binding("f5", "clear", "chat.key_clear"),
        Binding("o", "saved", "chat.key_saved", show=False),
        # Shown above the question, while there is something to vote on.
        Binding("f8,1", "vote('tuned')", "vote.key_tuned", show=False),
        Binding("f9,2", "vote('base')", "vote.key_base", show=False),
        Binding("ctrl+n,0", "vote('tie')", "vote.key_tie", show=False),
        Binding("ctrl+z,u", "take_back_vote", "vote.key_take_back", show=False),
        Binding("escape", "close_screen", "chat.key_leave", priority=True),
        Binding("ctrl+o", "saved", "chat.key_saved"),
    ]

    mode: reactive[Mode] = reactive("tuned")
    system: reactive[str] = reactive("")
    attached: reactive[tuple[Attached, ...]] = reactive(())

    def __init__(
        self, clients: Clients, job_id: int, *, name: str = "", base: bool = False, home: Home | None = None
    ) -> None:
        super().__init__()
        self.home = home or Home.find()
        self._keeper = Keeper(self.home, job_id)
        self._unwritable = ""
        self._ballot = votes.Ballot(self.home, job_id)
        self._clients, self.job_id, self.job_name = clients, job_id, name
        self._folder = Path.home()
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
        yield VoteBar(self._stand)
        yield AttachedImages(self.attached)
        yield Input(placeholder=t("chat.placeholder"), id="question")
        yield KeyBar()
        self.call_after_refresh(self._composed)  # also after a change of language, which mounts nothing anew

    def _composed(self) -> None:
        self._draw()
        self.query_one("#question", Input).focus()

    @on(ChatPane.Said)
    def _keep(self, message: ChatPane.Said) -> None:
        if any(pane.base == message.base and pane.turns is not message.turns for pane in self.query(ChatPane)):
            return  # by now it is another one, of which word comes too
        self._said[message.base] = message.turns
        self._draw_votes()
        if not message.turns or message.turns[-1].state != "streaming" or not message.turns[-1].text:
            self._save()

    def _save(self) -> None:
        if self._keeper.keep(self.mode, self.system, self._said[False], self._said[True]):
            self.run_worker(self._write(), group="save")

    async def _write(self) -> None:
        try:
            await asyncio.to_thread(self._keeper.write)
            self._unwritable = ""
        except TunesmithError as error:
            if error.message != self._unwritable:  # once, not with every answer
                self._unwritable = error.message
                self._refused(error)

    def on_unmount(self) -> None:
        """What the workers, which end now, did not come to."""
        try:
            self._keeper.write()
        except TunesmithError as error:
            self._refused(error)

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

    def validate_system(self, system: str) -> str:
        return well_formed(system)

    def watch_system(self) -> None:
        if self.is_mounted:
            self._draw()

    @property
    def _stand(self) -> votes.Stand:
        """Of the votes, where both models are shown."""
        return self._ballot.stand(self._said[False], self._said[True]) if self.mode == "split" else None

    def _draw_votes(self) -> None:
        for bar in self.query(VoteBar):  # none while it is composed in another language
            bar.shows = self._stand

    @on(VoteBar.Chosen)
    def _chosen(self, message: VoteBar.Chosen) -> None:
        if message.better is None:
            self.action_take_back_vote()
        else:
            self.action_vote(message.better)
        self.query_one("#question", Input).focus()

    def action_vote(self, better: votes.Better) -> None:
        """Write down which answer is better."""
        try:
            self._ballot.vote(better, self._said[False], self._said[True])
        except votes.Refused as error:
            self.notify(str(error), severity="warning", markup=False, timeout=REFUSED_FOR_S)
        except TunesmithError as error:
            self._refused(error)
        self._draw_votes()

    def action_take_back_vote(self) -> None:
        """The last one, also after the next question was asked."""
        try:
            self.notify(self._ballot.take_back(), markup=False)
        except TunesmithError as error:
            self._refused(error)
        self._draw_votes()

    def _go_on_from_better(self) -> None:
        """Both conversations, so that the answers to the next question can be compared too."""
        if isinstance(vote := self._stand, votes.Cast):
            for name, turns in votes.go_on(vote).items():
                self.query_one(f"#{name}", ChatPane).turns = turns

    def _draw(self) -> None:
        self._draw_votes()
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
        if any(pane.busy for pane in self.panes):
            return
        if text.startswith("/"):
            event.input.clear()
            self._command(text)
        elif text and self._may_send():
            event.input.clear()
            self._go_on_from_better()
            for pane in self.panes:
                pane.ask(text, self.system, self.attached)
            self.attached = ()
        elif self.attached and not text:
            self.notify(t("chat.image_needs_text"), severity="warning", markup=False)

    def _may_send(self) -> bool:
        """Each model has its own conversation, with images of its own."""
        try:
            for pane in self.panes:
                images.refuse_too_many([*pane.urls, *self._attached_urls])
        except DataError as error:
            self._refused(error)
            return False
        return True

    @property
    def _attached_urls(self) -> list[str]:
        return [image.url for image in self.attached]

    def watch_attached(self, attached: tuple[Attached, ...]) -> None:
        if self.is_mounted:
            self.query_one(AttachedImages).images = attached
            self.refresh_bindings()

    def _refused(self, error: Coded) -> None:
        self.notify(sentences(error), severity="error", markup=False, timeout=REFUSED_FOR_S)

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
            case "image" if rest.strip():
                self._attach_file(attaching.typed_path(rest))
            case "image":
                self.action_image()
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
        """Begin a new chat; this one is among the saved ones."""
        self._keeper.begin()
        self._said = {False: (), True: ()}
        for pane in self.query(ChatPane):
            pane.clear()
        self._draw_votes()

    @work(exclusive=True, group="saved")
    async def action_saved(self) -> None:
        """Look for an earlier chat of this run, and go on with it."""
        from tunesmith.tui.screens.saved_chats import SavedChatsScreen

        if (found := await self.app.push_screen_wait(SavedChatsScreen(self.home, self.job_id))) is None:
            return
        self.action_stop()
        self._keeper.begin(found)
        self._said = {False: found.chat.tuned, True: found.chat.base}
        self.mode, self.system = found.chat.mode, found.chat.system
        self.query_one("#system", Input).value = self.system
        for pane in self.query(ChatPane):
            pane.turns = self._said[pane.base]
        self._draw()

    @work(exclusive=True, group="image")
    async def action_image(self) -> None:
        """Pick one; said before that where the model takes none."""
        from tunesmith.tui.screens.pick import PickScreen

        if not await self._tried(self._refuse_blind):
            return
        if (path := await self.app.push_screen_wait(PickScreen(self._folder, SUFFIXES))) is not None:
            self._folder = path.parent
            await self._tried(lambda: self._read(path))

    @work(exclusive=True, group="image")
    async def _attach_file(self, path: Path) -> None:
        if await self._tried(self._refuse_blind):
            await self._tried(lambda: self._read(path))

    async def _tried(self, act: Callable[[], Awaitable[None]]) -> bool:
        """Whether it went well; else the person is told why."""
        try:
            await act()
        except TunesmithError as error:
            self._refused(error)
            return False
        return True

    async def _refuse_blind(self) -> None:
        await attaching.refuse_blind(await self._clients(), self.job_id, [pane.base for pane in self.panes])

    async def _read(self, path: Path) -> None:
        found = await attaching.read(path, [[*pane.urls, *self._attached_urls] for pane in self.panes])
        self.attached = (*self.attached, found)

    @on(AttachedImages.TakenBack)
    def _taken_back(self, message: AttachedImages.TakenBack) -> None:
        self.attached = tuple(image for image in self.attached if image is not message.image)
        self.query_one("#question", Input).focus()

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
                return isinstance(self._stand, votes.Asking)
            case "take_back_vote":
                return self._ballot.last is not None
        return True

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
