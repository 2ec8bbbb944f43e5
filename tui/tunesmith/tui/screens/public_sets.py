"""A window with the catalogue of public data sets: look through it, fetch one, learn from it."""

from __future__ import annotations

import importlib
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Input, OptionList, Static
from textual.widgets.option_list import Option

from tunesmith.daemon.api.home import Home
from tunesmith.recipes.data import public_sets, shapes
from tunesmith.recipes.data.public_sets import PublicSet
from tunesmith.recipes.errors import TunesmithError
from tunesmith.recipes.units import bytes_text, count_text
from tunesmith.tui.explained import told
from tunesmith.tui.texts import shown, t
from tunesmith.tui.widgets.key_bar import HELP, KeyBar
from tunesmith.tui.widgets.step_parts import Trouble

if TYPE_CHECKING:
    from tunesmith.daemon.api.downloads import Downloading

COMPLETE = ".hub.json"  # written into a set's folder once all of it is there and verified
FAINT = "$foreground 60%"


class PublicSetsScreen(ModalScreen[PublicSet | None]):
    """Dismissed with a set that lies whole in `home.data / key`, or None."""

    DEFAULT_CSS = """
    PublicSetsScreen #set-filter { height: 1; border: none; background: $panel; padding: 0 1; margin-bottom: 1; }
    PublicSetsScreen OptionList { height: 1fr; min-height: 3; border: none; padding: 0; background: $surface;
                                  text-wrap: nowrap; text-overflow: ellipsis; }
    PublicSetsScreen #set-facts { height: auto; max-height: 50%; margin: 1 0; }
    PublicSetsScreen Button { height: 1; min-width: 12; border: none; padding: 0 1; }
    """
    BINDINGS = [Binding("escape", "leave", "keys.back"), Binding("down", "to_list", show=False), HELP]

    def __init__(self, home: Home, method: str) -> None:
        super().__init__()
        self.home = home
        self.method = method
        self.fetching = ""  # the key of the set on its way
        self.typed = ""

    def compose(self) -> ComposeResult:
        with Vertical(classes="window"):
            yield Static(Content(t("sets.title")), classes="step-title")
            yield Input(self.typed, placeholder=t("sets.filter"), id="set-filter", compact=True, select_on_focus=False)
            yield OptionList(id="sets")
            yield Static(id="set-facts")
            yield Trouble(id="set-trouble")
            yield Button(Content(t("sets.fetch")), id="set-take", classes="-main", compact=True)
        yield KeyBar()

    def on_mount(self) -> None:
        self._list()
        self.query_one(Input).focus()

    async def recompose(self) -> None:
        """In another language; a download goes on only in a window that stays as it is."""
        self.workers.cancel_group(self, "fetch")
        await super().recompose()
        self.on_mount()

    def folder(self, public_set: PublicSet) -> Path:
        return self.home.data / public_set.key

    def is_here(self, public_set: PublicSet) -> bool:
        return (self.folder(public_set) / COMPLETE).is_file()

    @property
    def chosen(self) -> PublicSet | None:
        sets = self.query_one(OptionList)
        if sets.highlighted is None:
            return None
        return public_sets.find(str(sets.get_option_at_index(sets.highlighted).id))

    @on(Input.Changed, "#set-filter")
    def filtered(self, event: Input.Changed) -> None:
        self.typed = event.value
        self._list()

    def _list(self) -> None:
        sets = self.query_one(OptionList)
        sets.clear_options()
        sets.add_options(
            Option(line(known, here=self.is_here(known)), id=known.key)
            for known in public_sets.sets().values()
            if matches(known, self.typed)
        )
        sets.highlighted = 0 if sets.option_count else None
        self._show()

    @on(OptionList.OptionHighlighted)
    def highlighted(self) -> None:
        self._show()

    def _show(self) -> None:
        known, button = self.chosen, self.query_one("#set-take", Button)
        button.display = known is not None
        if known is None:
            self.query_one("#set-facts", Static).update("")
            return
        here, trains = self.is_here(known), self.method in shapes.cards()[known.shape].methods
        self.query_one("#set-facts", Static).update(facts(known, self.folder(known), here=here, trains=trains))
        if not self.fetching:
            size = f" ({bytes_text(known.bytes)})" if known.bytes else ""
            button.label = Content(t("sets.use") if here else t("sets.fetch") + size)
            button.refresh(layout=True)  # the label's length is the button's
            self.query_one(Trouble).clear()

    def action_to_list(self) -> None:
        self.query_one(OptionList).focus()

    @on(Input.Submitted)
    @on(OptionList.OptionSelected)
    def to_button(self) -> None:
        """A set is fetched only by the button, which says how large it is."""
        self.query_one("#set-take").focus()

    @on(Button.Pressed, "#set-take")
    def take(self) -> None:
        known = self.chosen
        if known is None or self.fetching:
            return
        if self.is_here(known):
            self.dismiss(known)
        else:
            self.fetch(known)

    @work(exclusive=True, group="fetch")
    async def fetch(self, known: PublicSet) -> None:
        """Fetch it, from the first hub that has it; leaving the window stops it, and what arrived is kept."""
        downloads = importlib.import_module("tunesmith.daemon.api.downloads")
        trouble, self.fetching = self.query_one(Trouble), known.key
        trouble.wait(t("sets.fetching", title=known.title))
        try:
            async with aclosing(downloads.download(self.home, known.key)) as messages:
                async for message in messages:
                    if not isinstance(message, downloads.Downloaded):
                        trouble.wait(progress(known, message))
        except TunesmithError as error:
            trouble.show(*told(error))
            return
        finally:
            self.fetching = ""
        self.dismiss(known)

    def action_leave(self) -> None:
        self.dismiss(None)


def matches(known: PublicSet, typed: str) -> bool:
    """Whether every word that is typed stands somewhere in what the list shows of the set."""
    said = " ".join(
        (known.key, known.title, known.good_for, known.license, known.shape, shown(f"data.shape_{known.shape}"),
         *known.topics, *known.languages)
    ).casefold()  # fmt: skip
    return all(word in said for word in typed.casefold().split())


def line(known: PublicSet, *, here: bool) -> Content:
    mark = ("● ", "$success") if here else ("○ ", "$foreground 40%")
    rows = count_text(known.rows) if known.rows else ""
    about = "  ".join((" ".join(known.languages), rows, known.good_for))
    return Content.assemble(mark, (known.title, "bold"), "  ", (about, FAINT))


def facts(known: PublicSet, folder: Path, *, here: bool, trains: bool) -> Content:
    """What one wants to know before fetching it, and how to do the same without the wizard."""
    size = bytes_text(known.bytes) if known.bytes else ""
    rows = t("sets.rows", rows=count_text(known.rows)) if known.rows else ""
    shape = shown(f"data.shape_{known.shape}")
    lines = [
        (t("sets.license"), known.license),
        *((hub, repository.id) for hub, repository in known.repositories.items()),
        (t("sets.folder"), str(folder)) if here else (t("sets.command"), f"tunesmith data get {known.key}"),
    ]
    width = max(Content(name).cell_length for name, _ in lines) + 2
    parts: list[str | tuple[str, str]] = [known.blurb, "\n", "   ".join(filter(None, (shape, rows, size)))]
    for warning in filter(None, (known.note, "" if trains else t("sets.not_trained"))):
        parts += ["\n", ("▲ ", "$warning bold"), warning]
    for name, value in lines:
        parts += ["\n", (name + " " * (width - Content(name).cell_length), FAINT), value]
    return Content.assemble(*parts)


def progress(known: PublicSet, message: Downloading) -> str:
    return f"{t('sets.fetching', title=known.title)} {bytes_text(message.done)} / {bytes_text(message.total)}"
