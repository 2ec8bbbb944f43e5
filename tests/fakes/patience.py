"""Waiting for what a screen comes to, as long as a busy machine needs; a test's own timeout ends what never comes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from textual.pilot import Pilot

LOOKS, BETWEEN_S = 6000, 0.01


async def until(pilot: Pilot[Any], holds: Callable[[], object]) -> None:
    for _ in range(LOOKS):
        await pilot.pause(BETWEEN_S)
        if holds():
            return
    raise AssertionError("it did not come to hold")


async def planned_anew(pilot: Pilot[Any]) -> None:
    """Until the plans are there that each change of the recipe asks for."""
    await until(pilot, lambda: all(worker.is_finished for worker in pilot.app.workers if worker.group == "plan"))


def notices(pilot: Pilot[Any]) -> list[str]:
    return [notice.message for notice in pilot.app._notifications]
