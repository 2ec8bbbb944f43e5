"""Machines: this one and its daemon as they are, and planning for one that is not here, which is never run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from beside import STATUS
from planned import on_cpu, own, planned, wizard
from textual.pilot import Pilot
from textual.widgets import Static

from tunesmith.daemon.api.requests import DaemonStatus
from tunesmith.recipes.errors import DaemonError
from tunesmith.tui.app import TunesmithApp
from tunesmith.tui.screens.machines import MachinesScreen
from tunesmith.tui.screens.model import ModelStep
from tunesmith.tui.widgets.model_catalogue import ModelCatalogue
from tunesmith.tui.widgets.step_parts import Trouble


def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, found: DaemonStatus | DaemonError | None) -> TunesmithApp:
    made = wizard(tmp_path, on_cpu(16, 10), own(tmp_path, "qwen2.5-7b-instruct"))

    async def status() -> DaemonStatus | None:
        if isinstance(found, DaemonError):
            raise found
        return found

    monkeypatch.setattr(made, "daemon_status", status)
    return made


async def opened(pilot: Pilot[None]) -> MachinesScreen:
    await pilot.press("k")
    for _ in range(200):
        await pilot.pause(0.02)
        screen = pilot.app.screen
        if isinstance(screen, MachinesScreen) and screen.looked:
            return screen
    raise AssertionError("the machine was not looked at")


def said(screen: Any, name: str) -> str:
    return str(screen.query_one(f"#{name}", Static).render())


async def test_the_machine_and_its_daemon_are_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with app(tmp_path, monkeypatch, STATUS).run_test(size=(120, 36)) as pilot:
        screen = await opened(pilot)
        here, daemon = said(screen, "machine-here"), said(screen, "machine-daemon")
        assert "AMD EPYC 9354, 8 cores" in here and "10.0 GB of 16.0 GB free" in here and "tunesmith doctor" in here
        assert "pid 4242" in daemon and "12 finished" in daemon and STATUS.socket in daemon


@pytest.mark.parametrize(
    ("found", "text"), [(None, "none runs"), (DaemonError("It is another's", "Set TUNESMITH_HOME."), "another's")]
)
async def test_no_daemon_and_one_that_cannot_be_asked_are_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, found: DaemonError | None, text: str
) -> None:
    async with app(tmp_path, monkeypatch, found).run_test(size=(80, 24)) as pilot:
        assert text in said(await opened(pilot), "machine-daemon")


async def test_plans_are_for_the_machine_that_is_chosen_and_it_is_never_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = app(tmp_path, monkeypatch, None)
    async with made.run_test(size=(120, 40)) as pilot:
        step = await planned(pilot)
        assert step.found is not None and step.found[2].device == "cpu"
        await opened(pilot)
        await pilot.press("slash", *"rtx-4090", "enter", "enter", "escape")
        step = await planned(pilot)
        assert made.planning.simulated == "rtx-4090"
        assert step.found is not None and step.found[2].device == "cuda" and "4090" in step.found[2].name
        banner = made.frame.query_one("#simulated", Static)
        assert banner.display and "RTX 4090" in str(banner.render())
        await pilot.press("ctrl+r")
        for _ in range(200):
            await pilot.pause(0.02)
            if made.frame.query_one("#trouble", Trouble).display:
                break
        refused = str(made.frame.query_one("#trouble", Trouble).render())
        assert "RTX 4090" in refused and "Press k, then t" in refused
        assert made.frame.current == "recipe" and made.job_id is None


async def test_the_way_back_makes_plans_for_this_machine_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = app(tmp_path, monkeypatch, None)
    async with made.run_test(size=(120, 40)) as pilot:
        made.plan_for("m3-max-64g")
        screen = await opened(pilot)
        assert "M3 Max" in said(screen, "machines-banner")
        await pilot.press("t", "escape")
        step = await planned(pilot)
        assert made.planning.simulated == "" and not made.frame.query_one("#simulated").display
        assert step.found is not None and step.found[2].device == "cpu"


async def test_fit_badges_say_for_which_machine_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = app(tmp_path, monkeypatch, None)
    made.planning.simulated = "rtx-4090"
    async with made.run_test(size=(120, 40)) as pilot:
        await made.frame.open("model")
        catalogue = made.frame.query_one(ModelStep).query_one(ModelCatalogue)
        for _ in range(200):
            await pilot.pause(0.02)
            if catalogue.badges:
                break
        assert "on NVIDIA GeForce RTX 4090:" in str(catalogue.query_one("#catalogue-facts", Static).render())
        assert catalogue.badges["qwen2.5-7b-instruct"].verdict in ("fits", "tight", "quantized")
