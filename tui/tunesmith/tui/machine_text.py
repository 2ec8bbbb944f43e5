"""A machine, its daemon, and that the wizard plans for another one, in words."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from textual.content import Content

from tunesmith.recipes.errors import TunesmithError
from tunesmith.recipes.units import bytes_text, duration_text, flops_text
from tunesmith.tui.explained import told, warned
from tunesmith.tui.plain import one_line, plain
from tunesmith.tui.texts import shown, t

if TYPE_CHECKING:
    from tunesmith.daemon.api.requests import DaemonStatus
    from tunesmith.recipes.machine import Device, Machine
    from tunesmith.recipes.measured import Measured

FAINT = "$foreground 60%"


def here(machine: Machine | None, measured: Measured | None, *, brief: bool) -> Content:
    """What it has, what is free now and how fast it is; `brief` without warnings' ways out."""
    head = Content.styled(t("machines.this"), "$secondary bold")
    if machine is None:
        return Content("\n").join([head, Content.styled(t("machine.looking"), FAINT)])
    lines = [head]
    lines += [_device(device, trains=device == machine.device) for device in machine.devices if device.kind != "cpu"]
    trains = f" · {t('machine.trains_here')}" if machine.device.kind == "cpu" else ""
    lines.append(_line(t("machine.cpu"), processor(machine) + trains))
    memory = t("machine.free_of", free=bytes_text(machine.memory_free_bytes), total=bytes_text(machine.memory_bytes))
    disk = t("machine.free", free=bytes_text(machine.disk_free_bytes))
    lines.append(_line(t("machine.memory"), f"{memory} · {t('machine.disk')}: {disk}"))
    lines.append(_line(t("machines.speed"), _speed(measured)))
    for warning in machine.warnings:
        text, fix = warned(warning)
        lines.append(Content.assemble(("▲ ", "$warning bold"), one_line(text)))
        if not brief:
            lines.append(Content.assemble(("→ ", "$secondary bold"), one_line(fix)))
    return Content("\n").join(lines)


def processor(machine: Machine) -> str:
    """Its name, where the system tells it, how many cores it grants, and its vector instructions."""
    cores = t("machine.one_core") if machine.cores == 1 else t("machine.cores", cores=machine.cores)
    return ", ".join(filter(None, (one_line(machine.cpu_name), cores, " ".join(machine.simd))))


def _device(device: Device, *, trains: bool) -> Content:
    if device.memory_bytes and device.memory_free_bytes:
        free, total = bytes_text(device.memory_free_bytes), bytes_text(device.memory_bytes)
        memory = t("machine.free_of", free=free, total=total)
    else:
        memory = bytes_text(device.memory_bytes) if device.memory_bytes else ""
    facts = [one_line(device.name), memory, t("machine.trains_here") if trains else ""]
    if device.temperature_c is not None:
        facts.append(t("machine.heat", celsius=device.temperature_c))
    return _line(device.kind.upper(), " · ".join(filter(None, facts)))


def _speed(measured: Measured | None) -> str:
    if measured is None:
        return t("machines.not_measured")
    rates = [f"{dtype} {flops_text(rate.per_second)}" for dtype, rate in measured.products.items() if rate.per_second]
    for key, rate in (("memory", measured.memory_copy), ("disk", measured.disk_write)):
        if rate.per_second:
            rates.append(f"{t(f'machine.{key}')} {bytes_text(rate.per_second)}/s")
    return " · ".join(rates)


def daemon(status: DaemonStatus | None, now: float) -> Content:
    """In three lines; that none runs, and what starts it."""
    if status is None:
        return Content.assemble(("○ ", FAINT), t("machines.no_daemon"))
    since = time.strftime("%m-%d %H:%M", time.localtime(now - status.uptime_s))
    jobs = ", ".join(
        f"{count} {one_line(shown(f'run.state_{state}'))}" for state, count in sorted(status.jobs.items()) if count
    )
    facts = t("machines.daemon_facts", pid=status.pid, version=one_line(status.version), since=since,
              up=duration_text(status.uptime_s))  # fmt: skip
    return Content("\n").join(
        [
            Content.assemble(("● ", "$success"), facts),
            _line(t("machines.queue"), jobs or t("machines.no_jobs")),
            _line(t("machines.clients"), t("machines.clients_of", count=status.connections, following=status.streams)),
            _line(t("machines.socket"), status.socket),
        ]
    )


def trouble(error: TunesmithError) -> Content:
    message, way_on = told(error)
    hint = ("\n", ("→ ", "$secondary bold"), plain(way_on)) if way_on else ()
    return Content.assemble(("! ", "$warning bold"), plain(message), *hint)


def name_of(key: str) -> str:
    from tunesmith.recipes.machine import known

    return known.find(key).name


def banner(key: str) -> Content:
    """That plans are for another machine, and the way back."""
    return Content.assemble(("▲ ", "$warning bold"), (t("machines.banner", name=name_of(key)), "bold"),
                            f"  {t('machines.way_back')}")  # fmt: skip


def _line(name: str, value: str) -> Content:
    width = 10
    space = " " * max(1, width - Content(name).cell_length)
    return Content.assemble((name + space, FAINT), one_line(value))
