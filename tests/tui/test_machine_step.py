"""The machine step follows what it looks at: memory, heat, power, who holds a GPU, and what is wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from measuring_child import MEASURED, SEEN
from textual.pilot import Pilot
from textual.widgets import Static

from tunesmith.daemon.api import measuring
from tunesmith.daemon.api.home import Home
from tunesmith.recipes import machine
from tunesmith.recipes.machine import Device, Holder, Machine, Warning
from tunesmith.tui.app import TunesmithApp
from tunesmith.tui.machine_text import processor
from tunesmith.tui.screens import machine as screen
from tunesmith.tui.widgets.gauge import NAME_CELLS, Gauge

replace = msgspec.structs.replace
GPU = Device("cuda", "NVIDIA H200", 150_000_000_000, 149_000_000_000, "sm90", index=0, temperature_c=35,
             power_watts=80.2, power_limit_watts=700.0, used_by=())  # fmt: skip
PROCESSOR = Device("cpu", "AMD EPYC", 16_000_000_000, 10_000_000_000)
IDLE = Machine("Linux", "AMD EPYC", 2, (), 16_000_000_000, 10_000_000_000, (GPU, PROCESSOR), 80_000_000_000)


def with_gpu(**changes: object) -> Machine:
    return replace(IDLE, devices=(replace(GPU, **changes), PROCESSOR))


class Looked:
    """A wizard whose looks at the machine see what `now` is."""

    def __init__(self, home: Path, first: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = first
        monkeypatch.setattr(screen, "LOOK_EVERY_S", 0.02)
        monkeypatch.setattr(screen, "_detect", lambda folder: self.now)
        self.app = TunesmithApp(Home(home), live=True)

    async def shows(self, pilot: Pilot[None], holds: Callable[[], bool]) -> bool:
        """Within two seconds, a hundred looks."""
        for _ in range(100):
            if holds():
                return True
            await asyncio.sleep(0.02)
            await pilot.pause()
        return False

    def gpu(self) -> Gauge:
        return self.app.screen.query_one(".device-0", Gauge)


async def test_heat_power_and_who_holds_a_gpu_are_shown_and_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = Looked(tmp_path, IDLE, monkeypatch)
    async with looked.app.run_test(size=(80, 24)) as pilot:
        assert await looked.shows(pilot, lambda: bool(looked.app.screen.query(".device-0")))
        assert looked.gpu().meaning == "NVIDIA H200. Trains here.\n35 °C · 80 of 700 W"
        users = (Holder(4242, "python3", 100_000_000_000), Holder(7, None, 1_000_000_000), Holder(8, "third", 5))
        looked.now = with_gpu(memory_free_bytes=49_000_000_000, temperature_c=71, power_watts=650.0, used_by=users)
        expected = (
            "NVIDIA H200. Trains here.\n71 °C · 650 of 700 W\npython3 (pid 4242) holds 100.0 GB\n"
            "another user or container (pid 7) holds 1.0 GB"
        )
        assert await looked.shows(pilot, lambda: looked.gpu().meaning == expected), looked.gpu().meaning
        assert looked.gpu().figure == "49.0 GB of 150.0 GB free"
        assert looked.gpu().size.height == 5, "the two who hold most of it have a line each"


async def test_what_is_not_known_is_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bare = with_gpu(temperature_c=None, power_watts=None, power_limit_watts=None, used_by=None)
    looked = Looked(tmp_path, bare, monkeypatch)
    async with looked.app.run_test(size=(80, 24)) as pilot:
        assert await looked.shows(pilot, lambda: bool(looked.app.screen.query(".device-0")))
        assert looked.gpu().meaning == "NVIDIA H200. Trains here."


async def test_a_gpu_that_cannot_train_says_so_and_the_processor_trains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    why = Warning("torch 2.13.0+cpu was built without CUDA, so NVIDIA H200 is not used", "Run ./install.sh.")
    looked = Looked(tmp_path, replace(with_gpu(usable=False), warnings=(why,)), monkeypatch)
    async with looked.app.run_test(size=(80, 24)) as pilot:
        assert await looked.shows(pilot, lambda: bool(looked.app.screen.query(".device-0")))
        assert looked.gpu().meaning.startswith("NVIDIA H200. Cannot train now; see below.")
        meanings = [gauge.meaning for gauge in looked.app.screen.query(Gauge)]
        assert "Trains here. Small models take minutes." in meanings


async def test_a_warning_whose_figures_change_changes_with_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def warned(free: str) -> Machine:
        return replace(IDLE, warnings=(Warning(f"Only {free} of disk are free", "Free some space."),))

    looked = Looked(tmp_path, warned("3.1 GB"), monkeypatch)
    async with looked.app.run_test(size=(80, 24)) as pilot:
        assert await looked.shows(pilot, lambda: bool(looked.app.screen.query(".warning-0")))
        looked.now = warned("2.9 GB")

        def told() -> str:
            return str(looked.app.screen.query_one(".warning-0", Static).content)

        assert await looked.shows(pilot, lambda: "2.9 GB" in told()), told()


def test_a_look_has_the_devices_that_the_doctor_saw_through_torch(tmp_path: Path) -> None:
    home = Home(tmp_path)
    assert [device.kind for device in screen._detect(tmp_path).devices].count("xpu") == 0
    measuring.keep(home, machine.detect(tmp_path), MEASURED)
    found = next(device for device in screen._detect(tmp_path).devices if device.kind == "xpu")
    assert found.name == SEEN.devices[0].name
    assert screen.figure(found) == "12.0 GB", "what was free when it was measured is not what is free now"
    assert screen._used(found) is None, "so there is no bar"


async def test_what_a_gauge_means_begins_below_its_figure_on_every_line(tmp_path: Path) -> None:
    many = "NVIDIA H100 80GB HBM3. Free for other work; one device trains. " * 2
    app = TunesmithApp(Home(tmp_path), machine=replace(IDLE, devices=(replace(GPU, name=many), PROCESSOR)), live=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        gauge = app.screen.query_one(".device-0", Gauge)
        lines = [gauge.render_line(y).text.rstrip() for y in range(gauge.size.height)]
        assert len(lines) > 3 and all(line.startswith(" " * NAME_CELLS) for line in lines[1:])
        assert all(line.strip() for line in lines[:-1])


def test_a_processor_without_a_name_is_told_by_its_cores() -> None:
    assert processor(replace(IDLE, cpu_name="", cores=1)) == "1 core"
    assert processor(replace(IDLE, simd=("avx2", "amx_bf16"))) == "AMD EPYC, 2 cores, avx2 amx_bf16"
