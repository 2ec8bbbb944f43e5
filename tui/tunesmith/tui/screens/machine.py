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
from tunesmith.tui.explained import warned
from tunesmith.tui.machine_text import processor
from tunesmith.tui.messages import Done, StartRun
from tunesmith.tui.plain import one_line, plain
from tunesmith.tui.texts import t
from tunesmith.tui.widgets.gauge import Gauge
from tunesmith.tui.widgets.step_parts import StepActions, StepHeading

if TYPE_CHECKING:
    from pathlib import Path

    from tunesmith.recipes.machine import Device, Machine, Warning

LOOK_EVERY_S = 2.0  # a look costs a few milliseconds once the backends are loaded
USERS_SHOWN = 2  # those who hold most of a GPU; the doctor names all


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
                figure(device),
                meaning(device, machine),
                _used(device),
            ).add_class(f"device-{number}")
        on_cpu = machine.device.kind == "cpu"
        yield Gauge(
            t("machine.cpu"),
            processor(machine),
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
        for number, warning in enumerate(machine.warnings):
            yield Static(told(warning), classes=f"warning warning-{number}")
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
                if self.machine is None or _parts(now) != _parts(self.machine):
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
        for memory in self.query(".memory").results(Gauge):  # none while the wizard closes
            memory.share = 1 - machine.memory_free_bytes / machine.memory_bytes
            memory.figure = t(
                "machine.free_of", free=bytes_text(machine.memory_free_bytes), total=bytes_text(machine.memory_bytes)
            )
        for number, device in enumerate(d for d in machine.devices if d.kind != "cpu"):
            for gauge in self.query(f".device-{number}").results(Gauge):
                gauge.share = _used(device)
                gauge.figure = figure(device)
                gauge.meaning = meaning(device, machine)
        for number, warning in enumerate(machine.warnings):
            for shown in self.query(f".warning-{number}").results(Static):
                shown.update(told(warning))

    @on(Button.Pressed, "#go-on")
    def action_go_on(self) -> None:
        self.post_message(Done("machine"))

    @on(Button.Pressed, "#starter")
    def action_starter(self) -> None:
        self.post_message(StartRun(starter=True))


def _detect(folder: Path) -> Machine:
    """With the devices that `tunesmith doctor` saw through torch, where it has measured this machine."""
    from tunesmith.daemon.api import measuring
    from tunesmith.daemon.api.home import Home
    from tunesmith.recipes.machine import detect

    return measuring.merged(Home(folder), detect(folder))


def _parts(machine: Machine) -> tuple[int, int]:
    """How many things are shown; as long as these stay, only their figures change."""
    return len(machine.devices), len(machine.warnings)


def _used(device: Device) -> float | None:
    known = device.memory_bytes and device.memory_free_bytes
    return 1 - device.memory_free_bytes / device.memory_bytes if known else None


def meaning(device: Device, machine: Machine) -> str:
    """Its name and what it is for; heat, power and who holds its memory, as far as they are known."""
    if device == machine.device:
        means = t("machine.trains_here")
    elif device.usable:
        means = t(f"machine.means_{device.kind}")
    else:
        means = t("machine.means_npu" if device.kind in ("npu", "xpu") else "machine.cannot_train")
    lines = [f"{one_line(device.name)}. {means}"]
    now = [] if device.temperature_c is None else [t("machine.heat", celsius=device.temperature_c)]
    if device.power_watts is not None:
        watts = f"{device.power_watts:.0f}"
        limit = device.power_limit_watts
        now.append(t("machine.power", watts=watts) if limit is None
                   else t("machine.power_of", watts=watts, limit=f"{limit:.0f}"))  # fmt: skip
    if now:
        lines.append(" · ".join(now))
    holders = [(user, user.memory_bytes) for user in device.used_by or () if user.memory_bytes]
    for user, held in holders[:USERS_SHOWN]:
        name = one_line(user.name or "") or t("machine.another")
        lines.append(t("machine.held_by", name=name, pid=user.pid, held=bytes_text(held)))
    return "\n".join(lines)


def told(warning: Warning) -> Content:
    text, fix = map(plain, warned(warning))
    return Content.assemble(("▲ ", "$warning bold"), text, "\n", ("→ ", "$secondary bold"), fix)


def figure(device: Device) -> str:
    if not device.memory_bytes:
        return device.note
    if not device.memory_free_bytes:
        return bytes_text(device.memory_bytes)
    return t("machine.free_of", free=bytes_text(device.memory_free_bytes), total=bytes_text(device.memory_bytes))
