"""The window of a run's saved chats: continue one, or remove it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.reactive import reactive
from textual.screen import ModalScreen
from textual.widgets import Static

from tunesmith.daemon.api.home import Home
from tunesmith.recipes.errors import TunesmithError
from tunesmith.tui import saved_chats
from tunesmith.tui.explained import sentences
from tunesmith.tui.plain import one_line
from tunesmith.tui.saved_chats import Found, Listed
from tunesmith.tui.texts import t
from tunesmith.tui.widgets.confirm import Confirm
from tunesmith.tui.widgets.key_bar import HELP, KeyBar
from tunesmith.tui.widgets.row_table import Column, RowTable


class SavedChatsScreen(ModalScreen[Found | None]):
    """Dismissed with the one to go on with, or None."""

    DEFAULT_CSS = """
    SavedChatsScreen .window { height: 90%; padding: 0 1; }
    SavedChatsScreen RowTable { height: 1fr; }
    SavedChatsScreen .window > Static { height: auto; }
    SavedChatsScreen #saved-note { max-height: 50%; margin-top: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "saved_chats.key_open"),
        Binding("delete,backspace,d", "remove", "saved_chats.key_remove", key_display="d"),
        Binding("escape", "leave", "keys.back"),
        HELP,
    ]

    found: reactive[Listed | None] = reactive(None)

    def __init__(self, home: Home, job_id: int) -> None:
        super().__init__()
        self.home, self.job_id = home, job_id

    def compose(self) -> ComposeResult:
        with Vertical(classes="window"):
            yield Static(Content(t("saved_chats.title", id=self.job_id)), classes="step-title")
            table: RowTable[Found] = RowTable(columns(), lambda row: row.path)
            yield table
            yield Static(id="saved-note", markup=False)
        yield KeyBar()

    def on_mount(self) -> None:
        self.query_one(RowTable).focus()
        self._read()

    @work(exclusive=True, group="read")
    async def _read(self) -> None:
        self.found = await asyncio.to_thread(saved_chats.listed, self.home, self.job_id)

    def watch_found(self, found: Listed | None) -> None:
        if found is None:
            return
        self.query_one(RowTable).show(found.chats)
        self.query_one("#saved-note", Static).update(note(found, self.home, self.job_id))
        self.refresh_bindings()

    @property
    def _chosen(self) -> Found | None:
        chosen: Found | None = self.query_one(RowTable).chosen
        return chosen

    @on(RowTable.Selected)
    def action_open(self) -> None:
        if self._chosen is not None:
            self.dismiss(self._chosen)

    @work
    async def action_remove(self) -> None:
        if (chosen := self._chosen) is None:
            return
        question = t("saved_chats.remove_question", question=one_line(chosen.chat.first_question)[:60])
        if await self.app.push_screen_wait(Confirm(question, t("saved_chats.remove_yes"), t("saved_chats.remove_no"))):
            try:
                await asyncio.to_thread(saved_chats.remove, chosen.path)
            except TunesmithError as error:
                self.notify(sentences(error), severity="error", markup=False)
            self._read()

    def action_leave(self) -> None:
        self.dismiss(None)


def columns() -> Sequence[Column[Found]]:
    return (
        Column("began", t("saved_chats.column_began"), 11, began),
        Column("questions", t("saved_chats.column_questions"), 9, lambda row: Content(str(row.chat.questions)),
               from_cells=50, right=True),
        Column("first", t("saved_chats.column_first"), 0, lambda row: Content(one_line(row.chat.first_question))),
    )  # fmt: skip


def began(row: Found) -> Content:
    return Content(time.strftime("%m-%d %H:%M", time.localtime(row.chat.began)))


def note(found: Listed, home: Home, job_id: int) -> Content:
    """What cannot be read, where they lie, and how many are kept."""
    damaged = [Content.assemble(("✗ ", "$error"), line) for line in saved_chats.damaged_texts(found)]
    kept = Content.styled(saved_chats.kept_text(home, job_id), "$foreground 60%")
    none = [] if found.chats else [Content(t("saved_chats.none"))]
    return Content("\n").join([*none, *damaged, kept])
