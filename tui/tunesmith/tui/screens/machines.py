"""This machine with its daemon, live; and machines one does not sit at, for one of which the wizard can plan."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Static

from tunesmith.recipes.errors import TunesmithError
from tunesmith.recipes.units import bytes_text, flops_text
from tunesmith.tui import machine_text
from tunesmith.tui.screens.composed import composed
from tunesmith.tui.texts import t
from tunesmith.tui.widgets.key_bar import KeyBar
from tunesmith.tui.widgets.row_filter import RowFilter
from tunesmith.tui.widgets.row_table import Column, RowTable

if TYPE_CHECKING:
    from tunesmith.daemon.api.requests import DaemonStatus
    from tunesmith.recipes.machine.known import Known
    from tunesmith.tui.planning import Planning

LOOK_EVERY_S = 2.0  # as the machine step
FAINT = "$foreground 60%"


class MachinesScreen(Screen[None]):
    """`status` is None where no daemon runs; `plan_for(key)` is the app's, with "" for this machine."""

    DEFAULT_CSS = """
    MachinesScreen #machines-title { height: 1; padding: 0 1; background: $panel; }
    MachinesScreen .machine-part { height: auto; padding: 0 1; margin-top: 1; }
    MachinesScreen #machines-banner { height: auto; padding: 0 1; background: $warning 12%; display: none; }
    MachinesScreen RowTable { min-height: 4; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "plan_for", "machines.key_plan_for"),
        Binding("t", "this_one", "machines.key_this_one"),
        Binding("slash", "filter", "table.key_filter"),
        Binding("escape", "close_screen", "keys.back"),
    ]

    def __init__(
        self,
        planning: Planning,
        status: Callable[[], Awaitable[DaemonStatus | None]],
        plan_for: Callable[[str], None],
    ) -> None:
        super().__init__()
        self.planning = planning
        self.status = status
        self.plan_for = plan_for
        self.daemon: DaemonStatus | None = None
        self.trouble: TunesmithError | None = None
        self.looked = False
        self.known: tuple[Known, ...] = ()
        self.typed = ""

    def compose(self) -> ComposeResult:
        yield Static(Content(t("machines.title")).stylize("bold"), id="machines-title")
        yield Static(id="machines-banner", markup=False)
        yield Static(id="machine-here", classes="machine-part", markup=False)
        yield Static(id="machine-daemon", classes="machine-part", markup=False)
        yield Static(
            Content.assemble((t("machines.known"), "$secondary bold"), (f"  {t('machines.known_lead')}", FAINT)),
            classes="machine-part",
        )
        yield RowFilter(self.typed)
        table: RowTable[Known] = RowTable(self._columns(), lambda row: row.key, id="known")
        yield table
        yield KeyBar()

    def on_mount(self) -> None:
        from tunesmith.recipes.machine import known

        self.known = tuple(known.all_known().values())
        self._show_known()
        self._show()
        self.query_one(RowTable).focus()
        self.looking()

    async def recompose(self) -> None:
        await super().recompose()
        self.on_mount()

    @work(exclusive=True, group="look")
    async def looking(self) -> None:
        """What is free and what the daemon does, again every few seconds."""
        while True:
            await asyncio.to_thread(self.planning.look)
            try:
                self.daemon, self.trouble = await self.status(), None
            except TunesmithError as error:
                self.daemon, self.trouble = None, error
            self.looked = True
            self._show()
            await asyncio.sleep(LOOK_EVERY_S)

    def _show(self) -> None:
        if not composed(self, "#machine-here", "#machine-daemon", "#machines-banner", "#known"):
            return  # being composed in another language
        planning = self.planning
        here = machine_text.here(planning.machine, planning.measured, brief=self.size.height < 30)
        self.query_one("#machine-here", Static).update(here)
        self.query_one("#machine-daemon", Static).update(
            Content.assemble((t("machines.daemon"), "$secondary bold"), "\n", self._daemon())
        )
        banner = self.query_one("#machines-banner", Static)
        banner.display = bool(planning.simulated)
        banner.update(machine_text.banner(planning.simulated) if planning.simulated else "")
        self.refresh_bindings()

    def _daemon(self) -> Content:
        if self.trouble is not None:
            return machine_text.trouble(self.trouble)
        return machine_text.daemon(self.daemon, time.time()) if self.looked else Content(t("machines.asking"))

    def _show_known(self) -> None:
        words = self.typed.casefold().split()
        self.query_one("#known", RowTable).show(
            [row for row in self.known if all(word in f"{row.key} {row.name} {row.kind}".casefold() for word in words)]
        )

    def _columns(self) -> list[Column[Known]]:
        return [
            Column("name", t("machines.column_name"), 0, self._called),
            Column("memory", t("machines.column_memory"), 9, memory, right=True),
            Column("rate", "bfloat16", 14, rate, right=True, from_cells=60),
            Column("key", t("machines.column_key"), 20, lambda row: Content.styled(row.key, FAINT), from_cells=76),
        ]  # fmt: skip

    def _called(self, row: Known) -> Content:
        planned = row.key == self.planning.simulated
        return Content.assemble(("● ", "$primary bold") if planned else "  ", (row.name, "bold" if planned else ""))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return bool(self.planning.simulated) if action == "this_one" else True

    @on(RowFilter.Typed)
    def filtered(self, event: RowFilter.Typed) -> None:
        self.typed = event.text
        self._show_known()
        self.query_one("#known", RowTable).action_first()

    @on(RowFilter.Left)
    def to_rows(self) -> None:
        self.query_one(RowTable).focus()

    def action_filter(self) -> None:
        self.query_one(RowFilter).open()

    @on(RowTable.Selected)
    def action_plan_for(self) -> None:
        row = self.query_one("#known", RowTable).chosen
        if row is not None:
            self._plan_for(row.key)

    def action_this_one(self) -> None:
        self._plan_for("")

    def _plan_for(self, key: str) -> None:
        self.plan_for(key)
        self._show()
        self.query_one("#known", RowTable).refresh()

    def action_close_screen(self) -> None:
        self.dismiss(None)


def memory(row: Known) -> Content:
    return Content(bytes_text(row.memory_bytes))


def rate(row: Known) -> Content:
    return Content(flops_text(row.bf16_flops) if row.bf16_flops else "—")
