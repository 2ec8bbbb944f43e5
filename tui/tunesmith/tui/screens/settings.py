"""What is settled for all runs, where it is said so, and where everything lies on this machine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Static

from tunesmith.daemon.api import places
from tunesmith.daemon.api.places import Place
from tunesmith.daemon.api.settings import CHOSEN
from tunesmith.recipes.errors import TunesmithError
from tunesmith.recipes.units import bytes_text
from tunesmith.tui import texts
from tunesmith.tui.explained import told
from tunesmith.tui.plain import one_line
from tunesmith.tui.preferences import Preferences, choices
from tunesmith.tui.texts import t
from tunesmith.tui.widgets.choice_row import ChoiceRow
from tunesmith.tui.widgets.key_bar import KeyBar
from tunesmith.tui.widgets.row_table import Column, RowTable
from tunesmith.tui.widgets.step_parts import Trouble

if TYPE_CHECKING:
    from tunesmith.daemon.api.home import Home

FAINT = "$foreground 60%"


class SettingsScreen(Screen[None]):
    """`change(key, value)` is the app's: it raises SettingsError, and what can be seen of a change is seen at once."""

    DEFAULT_CSS = """
    SettingsScreen #settings-title { height: 1; padding: 0 1; background: $panel; }
    SettingsScreen #settings { height: auto; margin: 1 0 0 0; }
    SettingsScreen #settings-explained { height: 2; padding: 0 1; margin: 1 0 0 1; border-left: outer $secondary; }
    SettingsScreen Trouble { margin: 1 1 0 1; }
    SettingsScreen #places-title { padding: 0 1; margin-top: 1; }
    SettingsScreen RowTable { height: 1fr; max-height: 11; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "app.focus_next", show=False),
        Binding("up", "app.focus_previous", show=False),
        Binding("c", "copy", "settings.key_copy"),
        Binding("escape", "close_screen", "keys.back"),
    ]

    def __init__(self, home: Home, preferences: Preferences, change: Callable[[str, str], None]) -> None:
        super().__init__()
        self.home = home
        self.preferences = preferences
        self.change = change
        self.places = places.places(home)
        self.counted = False
        self.looked_at = CHOSEN[0]

    def compose(self) -> ComposeResult:
        yield Static(Content.assemble((t("settings.title"), "bold"), (f"   {t('settings.lead')}", FAINT)),
                     id="settings-title")  # fmt: skip
        with Vertical(id="settings"):
            for key in CHOSEN:
                yield ChoiceRow(key, t(f"settings.{key}"), [(value, label(key, value)) for value in choices(key)])
        yield Static(id="settings-explained", markup=False)
        yield Trouble()
        yield Static(Content(t("settings.places")), id="places-title", classes="section")
        yield RowTable[Place](self._columns(), lambda place: place.key, id="places")
        yield KeyBar()

    def on_mount(self) -> None:
        self._show()
        self.query_one("#places", RowTable).show(self.places)
        self.query_one(f"#setting-{self.looked_at}").focus()
        error = self.preferences.error
        if error is not None:
            message, hint = told(error)
            self.query_one(Trouble).show(message, f"{hint}\n{t('settings.offline_meanwhile')}")
        if not self.counted:
            self.count()

    async def recompose(self) -> None:
        await super().recompose()
        self.on_mount()

    @work(exclusive=True, group="count")
    async def count(self) -> None:
        """What each place takes, one after the other; a large home takes a while."""
        found = await asyncio.to_thread(lambda: tuple(places.measured(self.home)))
        self.places, self.counted = found, True
        for table in self.query("#places").results(RowTable):
            table.show(found)

    def _show(self) -> None:
        in_force = self.preferences.in_force()
        for key in CHOSEN:
            counts = in_force[key]
            row = self.query_one(f"#setting-{key}", ChoiceRow)
            row.value = self.preferences.settings.text(key)
            row.note = t("settings.is_set", name=counts.by, value=counts.value) if counts.by_environment else ""
        self._explain()

    @on(ChoiceRow.Entered)
    def entered(self, event: ChoiceRow.Entered) -> None:
        self.looked_at = event.key
        self._explain()

    def _explain(self) -> None:
        self.query_one("#settings-explained", Static).update(Content(t(f"settings.{self.looked_at}_means")))

    @on(ChoiceRow.Chosen)
    def chosen(self, event: ChoiceRow.Chosen) -> None:
        trouble = self.query_one(Trouble)
        try:
            self.change(event.key, event.value)
        except TunesmithError as error:
            trouble.show(*told(error))
            return
        trouble.clear()
        self._show()

    def _columns(self) -> list[Column[Place]]:
        return [
            Column("what", t("settings.column_what"), 12, lambda place: Content(t(f"settings.place_{place.key}"))),
            Column("size", t("settings.column_size"), 9, self._taken, right=True),
            Column("path", t("settings.column_path"), 0, lambda place: Content(one_line(place.path))),
        ]

    def _taken(self, place: Place) -> Content:
        if place.bytes is None:
            return Content.styled("—" if self.counted else "…", FAINT)
        return Content(bytes_text(place.bytes))

    def action_copy(self) -> None:
        """The path with the cursor."""
        place = self.query_one("#places", RowTable).chosen
        if place is not None:
            self.app.copy_to_clipboard(place.path)
            self.notify(t("settings.copied", path=place.path), markup=False)

    def action_close_screen(self) -> None:
        self.dismiss(None)


def label(key: str, value: str) -> str:
    """A language and a hub by their own names, all else in the current language."""
    if key == "language" and value in texts.LANGUAGES:
        return texts.name(value)
    return t(f"settings.{key}_{value}")
