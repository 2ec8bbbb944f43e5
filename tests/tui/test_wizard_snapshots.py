"""How the steps look: each was looked at before its snapshot was kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from planned import Fixed
from textual.pilot import Pilot
from textual.widgets import Input

from tunesmith.daemon.api.home import Home
from tunesmith.recipes.machine import Device, Holder, Machine, Warning
from tunesmith.tui import texts
from tunesmith.tui.app import TunesmithApp
from tunesmith.tui.screens.data import DataStep


@pytest.fixture(autouse=True)
def fixed(monkeypatch: pytest.MonkeyPatch) -> None:
    Fixed()(monkeypatch)


Compare = Callable[..., bool]
GPU_MACHINE = Machine(
    system="Linux 6.8 x86_64",
    cpu_name="AMD EPYC 9354",
    cores=16,
    simd=("avx2", "avx512f"),
    memory_bytes=64_000_000_000,
    memory_free_bytes=21_000_000_000,
    devices=(
        Device(
            "cuda",
            "NVIDIA RTX 4090",
            24_000_000_000,
            22_500_000_000,
            "sm89",
            index=0,
            capability=(8, 9),
            temperature_c=47,
            power_watts=68.4,
            power_limit_watts=450.0,
            used_by=(Holder(4242, "ollama", 1_400_000_000),),
        ),
        Device("cpu", "AMD EPYC 9354", 64_000_000_000, 21_000_000_000),
    ),
    disk_free_bytes=3_100_000_000,
    warnings=(
        Warning(
            "Only 3.1 GB of disk are free",
            "Free space, or set TUNESMITH_HOME elsewhere.",
            "little_disk",
            (("free", "3.1 GB"),),
        ),
    ),
)


def app() -> TunesmithApp:
    return TunesmithApp(Home(Path("/nowhere")), machine=GPU_MACHINE, live=False)


def opened(*keys: str, language: str = "en", light: bool = False) -> Callable[[Pilot[None]], object]:
    """Press `keys` with the cursor held still."""

    async def before(pilot: Pilot[None]) -> None:
        await pilot.pause()
        if language != "en":
            await pilot.app.speak(language)  # type: ignore[attr-defined]
        if light:
            pilot.app.action_next_theme()  # type: ignore[attr-defined]
        await pilot.press(*keys)
        await pilot.pause(0.4)
        while any(not worker.is_finished for worker in pilot.app.workers if worker.group in ("badges", "plan")):
            await pilot.pause(0.05)
        while any(step.report is None for step in pilot.app.screen.query(DataStep)):
            await pilot.pause(0.05)
        for field in pilot.app.screen.query(Input):
            field.cursor_blink = False
        await pilot.pause()

    return before


@pytest.mark.parametrize(
    ("keys", "size", "language", "light"),
    [
        ((), (80, 24), "en", False),
        ((), (80, 24), "zh", True),
        ((), (40, 12), "en", False),
        (("2",), (80, 24), "en", False),
        (("3",), (80, 24), "en", True),
        (("4",), (80, 24), "en", False),
        (("4",), (110, 30), "zh", False),
        (("5",), (80, 24), "en", False),
        (("5",), (40, 12), "zh", False),
        (("question_mark",), (80, 24), "en", False),
    ],
    ids=["machine", "machine-zh-light", "machine-tiny", "goal", "model-light", "data", "data-zh", "recipe",
         "recipe-tiny-zh", "help"],
)  # fmt: skip
def test_step(snap_compare: Compare, keys: tuple[str, ...], size: tuple[int, int], language: str, light: bool) -> None:
    assert snap_compare(app(), terminal_size=size, run_before=opened(*keys, language=language, light=light))


def test_the_palette_offers_steps_language_and_theme(snap_compare: Compare) -> None:
    texts.use("en")
    assert snap_compare(app(), terminal_size=(80, 24), run_before=opened("ctrl+p"))
