"""The settings: chosen by keys or clicks, in force at once, remembered in the home, and the environment wins."""

from __future__ import annotations

from pathlib import Path

import pytest
from planned import on_cpu
from textual.pilot import Pilot
from textual.widgets import Static

from tunesmith.daemon.api import settings
from tunesmith.daemon.api.home import Home
from tunesmith.daemon.api.settings import Settings
from tunesmith.tui import texts
from tunesmith.tui.app import TunesmithApp
from tunesmith.tui.preferences import Preferences
from tunesmith.tui.screens.settings import SettingsScreen
from tunesmith.tui.theme import DARK, LIGHT
from tunesmith.tui.widgets.choice_row import Choice, ChoiceRow
from tunesmith.tui.widgets.row_table import RowTable
from tunesmith.tui.widgets.step_parts import Trouble


def wizard(tmp_path: Path, **environment: str) -> TunesmithApp:
    home = Home(tmp_path / "home")
    preferences = Preferences(home, {"LANG": "en_US.UTF-8", **environment})
    return TunesmithApp(home, machine=on_cpu(16, 10), live=False, preferences=preferences)


async def opened(pilot: Pilot[None]) -> SettingsScreen:
    await pilot.press("comma")
    await pilot.pause(0.1)
    screen = pilot.app.screen
    assert isinstance(screen, SettingsScreen)
    return screen


async def test_what_is_chosen_counts_at_once_and_is_remembered(tmp_path: Path) -> None:
    app = wizard(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await opened(pilot)
        await pilot.press("down", "right", "right")
        assert app.theme == LIGHT.name
        await pilot.press("down", "right", "down", "right")
        await pilot.click(next(choice for choice in screen.query(Choice) if choice.value == "zh"))
        for _ in range(200):
            await pilot.pause(0.02)
            if any("设置" in str(title.render()) for title in screen.query("#settings-title").results(Static)):
                break
        assert texts.language() == "zh" and "设置" in str(screen.query_one("#settings-title", Static).render())
        await pilot.press("escape")
        assert app.screen is app.frame
    assert settings.read(app.home) == Settings(language="zh", theme="light", hub="huggingface", offline=True)
    assert app.preferences.environment["TUNESMITH_OFFLINE"] == "1"
    again = Preferences(app.home, {"LANG": "en_US.UTF-8"})
    assert (again.language, again.theme) == ("zh", LIGHT.name)


async def test_the_keys_for_language_and_theme_are_remembered_too(tmp_path: Path) -> None:
    app = wizard(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("ctrl+l", "ctrl+t")
        await pilot.pause()
    found = settings.read(app.home)
    assert (found.language, found.theme) == ("zh", "light")


async def test_what_the_environment_sets_is_said_and_wins(tmp_path: Path) -> None:
    app = wizard(tmp_path, TUNESMITH_OFFLINE="1", TUNESMITH_THEME="light")
    async with app.run_test(size=(100, 24)) as pilot:
        assert app.theme == LIGHT.name
        screen = await opened(pilot)
        assert "TUNESMITH_OFFLINE is set: true counts" in screen.query_one("#setting-offline", ChoiceRow).note
        assert screen.query_one("#setting-hub", ChoiceRow).note == ""
        await pilot.press("down", "right")
        assert app.theme == LIGHT.name and settings.read(app.home).theme == "dark"


@pytest.mark.parametrize("text", ['{"format": "tunesmith-settings", "version": 2}', "broken"])
async def test_a_file_that_cannot_be_read_is_said_left_alone_and_no_connection_made(tmp_path: Path, text: str) -> None:
    home = Home(tmp_path / "home")
    home.root.mkdir()
    home.settings.write_text(text, "utf-8")
    app = wizard(tmp_path)
    async with app.run_test(size=(100, 30)) as pilot:
        for _ in range(200):
            await pilot.pause(0.02)
            if app.frame.query_one("#trouble", Trouble).display:
                break
        assert "settings.json" in str(app.frame.query_one("#trouble", Trouble).render())
        assert app.theme == DARK.name and app.preferences.environment["TUNESMITH_OFFLINE"] == "1"
        screen = await opened(pilot)
        await pilot.press("right")
        await pilot.pause()
        assert "settings reset" in str(screen.query_one(Trouble).render())
    assert home.settings.read_text("utf-8") == text


async def test_places_are_counted_and_a_path_is_copied(tmp_path: Path) -> None:
    app = wizard(tmp_path)
    app.home.models.mkdir(parents=True)
    (app.home.models / "weights").write_bytes(b"x" * 5_000)
    async with app.run_test(size=(120, 36)) as pilot:
        screen = await opened(pilot)
        for _ in range(2000):  # the environment's own files are counted too: minutes on a busy machine
            await pilot.pause(0.02)
            if screen.counted:
                break
        table = screen.query_one(RowTable)
        assert next(place.bytes for place in table.rows if place.key == "models") >= 5_000
        table.focus()
        await pilot.press("down", "down", "c")
        assert app.clipboard == str(app.home.models)
