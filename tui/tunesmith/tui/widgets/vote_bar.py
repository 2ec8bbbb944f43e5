"""The line between two answers and the next question: which is better, what was said of that, or why it cannot be."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widgets import Static

from tunesmith.tui.texts import t
from tunesmith.tui.votes import Asking, Better, Cast, Impossible, Stand, cast_text

CHOICES: tuple[tuple[Better, str], ...] = (
    ("tuned", "f8"),
    ("base", "f9"),
    ("tie", "^n"),
)  # keys as the bar below shows them
TAKE_BACK_KEY = "^z"


class VoteBar(Horizontal):
    DEFAULT_CSS = """
    VoteBar { height: auto; display: none; padding: 0 1; }
    VoteBar.-some { display: block; }
    VoteBar #vote-said { width: auto; max-width: 1fr; height: auto; }
    VoteBar.-said #vote-said { width: 1fr; }
    VoteChoice { width: auto; height: 1; padding: 0 1; pointer: pointer; }
    VoteChoice:hover, VoteChoice:focus { background: $block-hover-background; }
    """

    class Chosen(Message):
        """None takes the last vote back."""

        def __init__(self, better: Better | None) -> None:
            super().__init__()
            self.better = better

    shows: reactive[Stand] = reactive(None, recompose=True)

    def __init__(self, shows: Stand = None) -> None:
        super().__init__()
        self.set_reactive(VoteBar.shows, shows)
        self.watch_shows(shows)

    def watch_shows(self, shows: Stand) -> None:
        self.set_class(shows is not None, "-some")
        self.set_class(not isinstance(shows, Asking), "-said")

    def compose(self) -> ComposeResult:
        match self.shows:
            case Asking():
                yield Static(Content.styled(t("vote.question"), "bold"), id="vote-said", markup=False)
                for better, key in CHOICES:
                    yield VoteChoice(better, key, t(f"vote.{better}"))
            case Cast() as vote:
                yield Static(Content.assemble(("✓ ", "$success"), cast_text(vote)), id="vote-said", markup=False)
                yield VoteChoice(None, TAKE_BACK_KEY, t("vote.take_back"))
            case Impossible(why):
                yield Static(Content.styled(why, "$foreground 60%"), id="vote-said", markup=False)


class VoteChoice(Static, can_focus=True):
    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "choose", "vote.key_choose", show=False)]

    def __init__(self, better: Better | None, key: str, text: str) -> None:
        super().__init__(Content.assemble((key, "$primary bold"), " ", text), markup=False)
        self.better = better

    def on_click(self) -> None:
        self.action_choose()

    def action_choose(self) -> None:
        self.post_message(VoteBar.Chosen(self.better))
