"""Engines that are installed beside us, before one is started: where it is, on what it computes, what it may take."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from tunesmith.daemon.admission import Look
from tunesmith.daemon.api import engines, settings
from tunesmith.daemon.api.engines import ENGINES, Row
from tunesmith.daemon.api.home import Home
from tunesmith.daemon.serving.memory import Needed
from tunesmith.recipes.errors import MachineError
from tunesmith.recipes.planner.place import Place


def row_of(engine: str) -> Row | None:
    """None for one that is in our own environment, or that there is not: its process says so."""
    row = ENGINES.get(engine)
    return row if row is not None and row.program else None


def program(row: Row, home: Home) -> Path:
    """Raises TunesmithError where it is not installed."""
    found = settings.command_of(row, home, os.environ)
    if found is None:
        raise engines.missing(row)
    return found


def place(row: Row, home: Home, machine: Look) -> Place:
    """Raises MachineError where there is no device that it computes on."""
    found = machine.now(home, "auto").place
    if found.device not in row.devices:
        raise MachineError(
            f"{row.title} computes on {' or '.join(row.devices)}, and this machine has {found.device}",
            "Leave --engine out: llama.cpp and transformers run everywhere.",
            "engine_device",
        )
    return found


def words(row: Row, home: Home, machine: Look, need: Needed, adapters: Iterable[str]) -> Iterator[str]:
    """Of the command of the process that starts it. What is free is looked at once others have made room."""
    yield from ("--program", str(program(row, home)))
    for adapter in sorted(adapters):
        yield from ("--adapter", adapter)
    if need.share is not None:
        now = place(row, home, machine)
        free = now.host_free_bytes if need.share.device == "cpu" else now.free_bytes
        yield from ("--share", msgspec.json.encode(msgspec.structs.replace(need.share, free=free)).decode())
