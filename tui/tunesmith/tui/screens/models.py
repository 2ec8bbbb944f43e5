"""The cache of models: what lies there, what it takes and who uses it; fetch, check, import and remove."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Static

from tunesmith.recipes.errors import TunesmithError
from tunesmith.recipes.models.source import LOCAL
from tunesmith.recipes.units import bytes_text
from tunesmith.tui import model_rows, models_here
from tunesmith.tui.explained import sentences
from tunesmith.tui.model_rows import ModelRow
from tunesmith.tui.screens.composed import composed
from tunesmith.tui.texts import t
from tunesmith.tui.watch import Clients
from tunesmith.tui.widgets.confirm import Confirm
from tunesmith.tui.widgets.key_bar import KeyBar
from tunesmith.tui.widgets.model_progress import ModelProgress
from tunesmith.tui.widgets.row_filter import RowFilter
from tunesmith.tui.widgets.row_table import Column, RowTable

if TYPE_CHECKING:
    from tunesmith.daemon.api.home import Home
    from tunesmith.tui.model_work import ModelWork

LOOK_EVERY_S = 3.0  # runs fetch models too
LOOK_SHARE = 20  # a look at ten thousand models takes two seconds: no more than a twentieth of the time goes into it
OF_A_ROW = ("verify", "remove", "copy")


class ModelsScreen(Screen[None]):
    """`work` goes on when the screen is left."""

    DEFAULT_CSS = """
    ModelsScreen #models-title { height: 1; padding: 0 1; background: $panel; }
    ModelsScreen #models-note { height: auto; padding: 1 2; color: $text-muted; }
    ModelsScreen #models-facts { height: auto; max-height: 6; padding: 0 1; border-top: solid $border-blurred;
                                 text-wrap: nowrap; text-overflow: ellipsis; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("g", "pull", "models.key_pull"),
        Binding("v", "verify", "models.key_verify"),
        Binding("V", "verify_all", "models.key_verify_all", show=False),
        Binding("i", "import", "models.key_import"),
        Binding("d,delete", "remove", "models.key_remove"),
        Binding("c", "copy", "models.key_copy", show=False),
        Binding("x", "stop", "models.key_stop"),
        Binding("slash", "filter", "table.key_filter"),
        Binding("escape", "close_screen", "keys.back"),
    ]

    def __init__(self, home: Home, doing: ModelWork, clients: Clients) -> None:
        super().__init__()
        self.home = home
        self.doing = doing
        self.rows: Sequence[ModelRow] | None = None
        self.bytes = 0
        self.trouble = ""
        self.typed = ""
        self._clients = clients

    def compose(self) -> ComposeResult:
        yield Static(id="models-title", markup=False)
        yield RowFilter(self.typed)
        yield Static(id="models-note", markup=False)
        yield RowTable[ModelRow](columns(), lambda row: (row.hub, row.name, row.revision), id="models")
        yield Static(id="models-facts", markup=False)
        yield ModelProgress(self.doing)
        yield KeyBar()

    async def recompose(self) -> None:
        await super().recompose()
        self._show()
        self.query_one(RowTable).focus()

    def on_mount(self) -> None:
        self._show()
        self.query_one(RowTable).focus()
        self.look()

    @work(exclusive=True, group="look")
    async def look(self) -> None:
        """Now and again every few seconds."""
        while True:
            began = time.monotonic()
            try:
                here = await asyncio.to_thread(models_here.look, self.home)
                self.rows = await asyncio.to_thread(model_rows.rows, here, self.doing.checked)
                self.bytes, self.trouble = here.bytes, ""
            except OSError as error:  # something was taken away while we looked, or must not be read
                self.trouble = str(error)
            self._show()
            await asyncio.sleep(max(LOOK_EVERY_S, LOOK_SHARE * (time.monotonic() - began)))

    def _show(self) -> None:
        """What was found, as far as it matches what is typed; drawn anew where it is being composed again."""
        if not composed(self, "#models", "#models-title", "#models-note"):
            return
        rows = self.rows or []
        table = self.query_one("#models", RowTable)
        table.show([row for row in rows if model_rows.matches(row, self.typed)] if self.typed else rows)
        table.display = bool(rows)
        if rows and self.focused is None:
            table.focus()  # it could not have it while there was nothing to show
        self.query_one("#models-title", Static).update(self._title(len(rows), len(table.rows)))
        note = self.query_one("#models-note", Static)
        note.update(self._note())
        note.display = bool(self._note().plain)
        self._facts()

    def _title(self, count: int, shown: int) -> Content:
        parts: list[str | tuple[str, str]] = [(t("models.title"), "bold")]
        if self.rows is not None:
            counted = t("models.count", count=count) if not self.typed else t("table.shown", shown=shown, count=count)
            parts.append(f"   {counted}, {t('models.on_disk', bytes=bytes_text(self.bytes))}")
        return Content.assemble(*parts)

    def _note(self) -> Content:
        if self.trouble:
            return Content.assemble(("! ", "$warning bold"), t("models.unreadable", error=self.trouble))
        if self.rows is None:
            return Content(t("models.looking"))
        if not self.rows:
            return Content(t("models.none"))
        return Content("") if self.query_one("#models", RowTable).rows else Content(t("table.no_match"))

    @property
    def chosen(self) -> ModelRow | None:
        found = self.query("#models")
        return found.first(RowTable).chosen if found else None

    @on(RowTable.Highlighted)
    def _facts(self) -> None:
        row = self.chosen
        for facts in self.query("#models-facts").results(Static):  # none while it is composed in another language
            facts.display = row is not None
            facts.update(Content("\n").join(model_rows.facts(row)) if row is not None else "")
        self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "stop":
            return self.doing.now is not None
        if action in OF_A_ROW:
            row = self.chosen
            return row is not None and not (action == "remove" and row.state == "given")
        return True

    @on(RowFilter.Typed)
    def filtered(self, event: RowFilter.Typed) -> None:
        self.typed = event.text
        self._show()
        self.query_one("#models", RowTable).action_first()

    @on(RowFilter.Left)
    def to_rows(self) -> None:
        self.query_one(RowTable).focus()

    def action_filter(self) -> None:
        self.query_one(RowFilter).open()

    @work
    async def action_pull(self) -> None:
        """What has not all arrived goes on; any other is asked for by name."""
        from tunesmith.tui.screens.ask import AskScreen

        if self._busy():
            return
        row = self.chosen
        wanted = row.asked if row is not None and row.hub != LOCAL and row.state in ("partial", "damaged") else ""
        asked = AskScreen(t("models.pull_title"), t("models.pull_hint"), value=wanted, placeholder="Qwen/Qwen3-0.6B")
        if (name := await self.app.push_screen_wait(asked)) is not None and not self._busy():
            self.doing.pull(name)
            self.refresh_bindings()

    def action_verify(self) -> None:
        row = self.chosen
        if row is None or self._busy():
            return
        if row.snapshot is None:
            self.notify(t("models.not_whole"), severity="warning", markup=False)
        else:
            self.doing.verify(row.snapshot.kept.source)
            self.refresh_bindings()

    def action_verify_all(self) -> None:
        if not self._busy():
            self.doing.verify()
            self.refresh_bindings()

    @work
    async def action_import(self) -> None:
        from tunesmith.tui.screens.pick import PickScreen

        if self._busy():
            return
        path = await self.app.push_screen_wait(PickScreen(Path.home(), (".gguf",), folders=True))
        if path is not None and not self._busy():
            self.doing.take_in(path)
            self.refresh_bindings()

    def _busy(self) -> bool:
        """Whether something is being done already, which is then said."""
        if self.doing.now is not None:
            self.notify(t("models.busy"), severity="warning", markup=False)
        return self.doing.now is not None

    def action_stop(self) -> None:
        self.doing.stop()

    @on(ModelProgress.Over)
    def work_ended(self) -> None:
        self.refresh_bindings()
        self.look()

    @work(exclusive=True, group="remove")
    async def action_remove(self) -> None:
        row = self.chosen
        if row is None or row.state == "given":
            return
        try:
            await self._refuse_used(row)
            freed = await asyncio.to_thread(models_here.freed, [row.meant])
            question = t("models.remove_question", name=row.meant.name, bytes=bytes_text(freed))
            asked = Confirm(question, t("models.remove_yes"), t("models.remove_no"))
            if not await self.app.push_screen_wait(asked):
                return
            gone = await asyncio.to_thread(models_here.remove, self.home, [row.meant])
        except TunesmithError as error:
            self.notify(sentences(error), severity="error", markup=False)
        except OSError as error:
            self.notify(t("models.not_removed", error=error), severity="error", markup=False)
        else:
            self.notify(t("models.removed", bytes=bytes_text(gone)), markup=False)
        self.look()

    async def _refuse_used(self, row: ModelRow) -> None:
        """Raises JobError while a run that is not over uses it; DaemonError where that cannot be asked."""
        if not row.runs:
            return
        from tunesmith.daemon.api.view import TERMINAL_STATES

        client = await self._clients()
        views = [await client.job(run) for run in row.runs]
        living = [view.id for view in views if view.state not in TERMINAL_STATES]
        models_here.refuse_living(living, t("models.in_use_hint"))

    def action_copy(self) -> None:
        if (row := self.chosen) is not None:
            self.app.copy_to_clipboard(str(row.folder))
            self.notify(t("models.copied"))

    def action_close_screen(self) -> None:
        self.dismiss(None)


def columns() -> list[Column[ModelRow]]:
    """The name has what the others leave."""
    return [
        Column("name", t("models.column_name"), 0, model_rows.name),
        Column("state", t("models.column_state"), 19, model_rows.state),
        Column("size", t("models.column_size"), 9, model_rows.size, right=True),
        Column("hub", t("models.column_hub"), 11, model_rows.hub, from_cells=70),
        Column("revision", t("models.column_revision"), 8, model_rows.revision, from_cells=90),
        Column("fetched", t("models.column_fetched"), 10, model_rows.fetched, from_cells=104),
        Column("runs", t("models.column_runs"), 11, model_rows.used_by, from_cells=56),
    ]
