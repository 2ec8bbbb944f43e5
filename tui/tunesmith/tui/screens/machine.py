"""Step 1: what was found on this machine, what it means for training, and the way on."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Button, Static

from tunesmith.recipes.units import bytes_text
from tunesmith.tui.messages import Done, StartRun
from tunesmith.tui.texts import t
from tunesmith.tui.widgets.gauge import Gauge
from tunesmith.tui.widgets.step_parts import StepActions, StepHeading

if TYPE_CHECKING:
    from pathlib import Path

    from tunesmith.recipes.machine import Device, Machine

LOOK_EVERY_S = 2.0  # a look costs under a millisecond once the backends are loaded


class MachineStep(Vertical):
    """`machine` is looked at in a thread, so that the first paint waits for nothing."""

    BINDINGS = [
        Binding("enter", "go_on", "keys.go_on"),
        Binding("s", "starter", "keys.starter"),
    ]

    def __init__(self, folder: Path, machine: Machine | None = None, *, live: bool = True) -> None:
        super().__init__(id="step-machine", classes="step")
        self.folder = folder
        self.machine = machine
        self.live = live

    def compose(self) -> ComposeResult:
        yield StepHeading("machine")
        with VerticalScroll(classes="step-body", can_focus=False):
            if self.machine is None:
                yield Static(Content(t("machine.looking")), classes="muted")
            else:
                yield from self._found(self.machine)
        yield StepActions(("go-on", t("machine.go_on"), True), ("starter", t("machine.starter"), False))

    def on_mount(self) -> None:
        if self.live:
            self.look()

    def _found(self, machine: Machine) -> ComposeResult:
        for number, device in enumerate(d for d in machine.devices if d.kind != "cpu"):
            yield Gauge(
                device.kind.upper(),
                _figure(device),
                f"{device.name}. "
                + (t("machine.trains_here") if device == machine.device else t(f"machine.means_{device.kind}")),
                _used(device),
            ).add_class(f"device-{number}")
        simd = " ".join(machine.simd)
        on_cpu = machine.device.kind == "cpu"
        yield Gauge(
            t("machine.cpu"),
            t("machine.cores", name=machine.cpu_name, cores=machine.cores) + (f", {simd}" if simd else ""),
            t("machine.cpu_trains") if on_cpu else t("machine.cpu_helps"),
        )
        yield Gauge(
            t("machine.memory"),
            t("machine.free_of", free=bytes_text(machine.memory_free_bytes), total=bytes_text(machine.memory_bytes)),
            t("machine.memory_means") if on_cpu else t("machine.memory_means_gpu"),
            1 - machine.memory_free_bytes / machine.memory_bytes if machine.memory_bytes else None,
        ).add_class("memory")
        yield Gauge(
            t("machine.disk"), t("machine.free", free=bytes_text(machine.disk_free_bytes)), t("machine.disk_means")
        )
        for warning in machine.warnings:
            yield Static(
                Content.assemble(("▲ ", "$warning bold"), warning.text, "\n", ("→ ", "$secondary bold"), warning.fix),
                classes="warning",
            )
        if not machine.warnings:
            yield Static(Content.assemble(("✓ ", "$success bold"), t("machine.all_well")), classes="all-well")

    @work(exclusive=True)
    async def look(self) -> None:
        """Look now, then again every few seconds while this step is shown."""
        first = await asyncio.to_thread(_detect, self.folder)
        await self._show(first)
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            if self.display and self.is_on_screen:
                now = await asyncio.to_thread(_detect, self.folder)
                if self.machine is None or len(now.warnings) != len(self.machine.warnings):
                    await self._show(now)
                else:
                    self._refresh(now)

    async def _show(self, machine: Machine) -> None:
        self.machine = machine
        body = self.query_one(".step-body")
        with self.app.batch_update():
            await body.remove_children()
            await body.mount_all(list(self._found(machine)))

    def _refresh(self, machine: Machine) -> None:
        self.machine = machine
        memory = self.query_one(".memory", Gauge)
        memory.share = 1 - machine.memory_free_bytes / machine.memory_bytes
        memory.figure = t(
            "machine.free_of", free=bytes_text(machine.memory_free_bytes), total=bytes_text(machine.memory_bytes)
        )
        for number, device in enumerate(d for d in machine.devices if d.kind != "cpu"):
            for gauge in self.query(f".device-{number}").results(Gauge):
                gauge.share = _used(device)
                gauge.figure = _figure(device)

    @on(Button.Pressed, "#go-on")
    def action_go_on(self) -> None:
        self.post_message(Done("machine"))

    @on(Button.Pressed, "#starter")
    def action_starter(self) -> None:
        self.post_message(StartRun(starter=True))


def _detect(folder: Path) -> Machine:
    from tunesmith.recipes.machine import detect

    return detect(folder)


def _used(device: Device) -> float | None:
    return 1 - device.memory_free_bytes / device.memory_bytes if device.memory_bytes else None


def _figure(device: Device) -> str:
    if not device.memory_bytes:
        return device.note
    return t("machine.free_of", free=bytes_text(device.memory_free_bytes), total=bytes_text(device.memory_bytes))
