"""Every screen and window says its keys when asked, what has the focus can be seen without colour, the mouse works."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path

import pytest
from histories import finished
from live import FakeClient
from patience import until
from textual.pilot import Pilot
from textual.screen import ModalScreen, Screen
from textual.widgets import Static
from textual.widgets._select import SelectOverlay

from tunesmith.daemon.api.home import Home
from tunesmith.recipes.machine import Device, Machine
from tunesmith.tui import screens, texts, widgets
from tunesmith.tui.app import TunesmithApp
from tunesmith.tui.screens.help import HelpScreen, key_lines
from tunesmith.tui.screens.jobs import JobsScreen
from tunesmith.tui.texts import language, load, shown
from tunesmith.tui.widgets.key_bar import KeyBar
from tunesmith.tui.widgets.rail import STEPS, Rail
from tunesmith.tui.widgets.row_table import RowTable

CPU = Device("cpu", "CPU", 16_000_000_000, 10_000_000_000)
MACHINE = Machine("Linux", "CPU", 2, (), 16_000_000_000, 10_000_000_000, (CPU,), 80_000_000_000)


def app() -> TunesmithApp:
    return TunesmithApp(Home(Path("/nowhere")), machine=MACHINE, live=False)


def screen_classes() -> list[type[Screen[object]]]:
    """Of all screens and windows there are."""
    found: set[type[Screen[object]]] = set()
    for package in (screens, widgets):
        for info in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
            module = importlib.import_module(info.name)
            found |= {
                value
                for value in vars(module).values()
                if isinstance(value, type) and issubclass(value, Screen) and value.__module__ == info.name
            }
    return sorted(found, key=lambda found_class: found_class.__name__)


def test_every_window_can_be_asked_for_its_keys() -> None:
    others = [found for found in screen_classes() if found is not HelpScreen and not found.__subclasses__()]
    windows = [found for found in others if issubclass(found, ModalScreen)]  # those that are opened
    assert len(windows) >= 5
    silent = [
        window.__name__
        for window in windows
        if not any(getattr(binding, "action", "") == "app.help" for binding in window.BINDINGS)
    ]
    assert silent == []


def test_every_key_that_is_shown_is_named_by_a_text() -> None:
    known = load(language())
    unnamed = [
        (found.__name__, binding.key)  # type: ignore[union-attr]
        for found in screen_classes()
        for binding in found.BINDINGS
        if getattr(binding, "show", False) and getattr(binding, "description", "") not in known
    ]
    assert unnamed == []


async def test_help_of_every_step_is_made_of_its_bindings() -> None:
    wizard = app()
    async with wizard.run_test(size=(100, 40)) as pilot:
        for number, step in enumerate(STEPS, 1):
            await pilot.press(f"f{number}")
            await pilot.pause()
            described = {
                shown(active.binding.description)
                for active in wizard.screen.active_bindings.values()
                if active.binding.show and active.enabled and active.binding.description
            }
            told = {text for _, text in key_lines(wizard.screen)}
            assert {text for text in described if text in set(load("en").values())} <= told, step
            await pilot.press("ctrl+g")
            await until(pilot, lambda: isinstance(wizard.screen, HelpScreen))
            await pilot.press("escape")
            await until(pilot, lambda: wizard.screen is wizard.frame)
            assert wizard.frame.query_one(Rail).current == step


@pytest.mark.parametrize("language", ["en", "zh"])
async def test_the_key_bar_shows_whole_keys_and_always_the_help(language: str) -> None:
    texts.use(language)
    wizard = app()
    async with wizard.run_test(size=(120, 24)) as pilot:
        shown_before = 99
        for width in (120, 80, 60, 40, 20):
            await pilot.resize_terminal(width, 24)
            bar = wizard.frame.query_one(KeyBar)
            await until(pilot, lambda width=width, bar=bar: bar.size.width == width and fits(bar))
            assert any(key.action == "help" for key in bar.keys) and len(bar.keys) <= shown_before
            shown_before = len(bar.keys)
        await pilot.resize_terminal(120, 24)
        await until(pilot, lambda: len(bar.keys) > shown_before)


async def test_a_key_of_the_bar_can_be_clicked_and_is_marked_under_the_pointer() -> None:
    wizard = app()
    async with wizard.run_test(size=(120, 24)) as pilot:
        bar = wizard.frame.query_one(KeyBar)
        await until(pilot, lambda: fits(bar))
        before = next(count for count, key in enumerate(bar.keys) if key.action == "help")
        column = sum(key.cells for key in bar.keys[:before]) + 1
        await pilot.hover(KeyBar, offset=(column, 0))
        await until(pilot, lambda: bar.under_pointer == bar.keys[before])
        await pilot.click(KeyBar, offset=(column, 0))
        await until(pilot, lambda: isinstance(wizard.screen, HelpScreen))


def fits(bar: KeyBar) -> bool:
    """What is drawn of the bar is its keys, none of them cut."""
    drawn = bar.render_line(0).text
    return bool(bar.keys) and drawn.rstrip() == "".join(f" {key.display} {key.text} " for key in bar.keys).rstrip()


Drawn = list[tuple[str, bool | None, bool | None, bool | None]]


def signs(pilot: Pilot[None]) -> Drawn:
    """What is on screen without its colours: characters, bold, underline, reverse."""
    return [
        (segment.text, style and style.bold, style and style.underline, style and style.reverse)
        for strip in pilot.app.screen._compositor.render_strips()
        for segment in strip
        for style in (segment.style,)
    ]


@pytest.mark.parametrize("step", [step for step in STEPS if step not in ("run", "result")])
async def test_what_has_the_focus_can_be_seen_without_colour(step: str) -> None:
    wizard = app()
    async with wizard.run_test(size=(110, 150)) as pilot:
        await pilot.press(f"f{STEPS.index(step) + 1}")
        await pilot.pause(0.3)
        unseen, looked_at = [], 0
        for widget in wizard.screen.query("*"):
            if not widget.focusable or not widget.is_on_screen or isinstance(widget, SelectOverlay):
                continue
            wizard.screen.set_focus(None)
            await pilot.pause()
            without = signs(pilot)
            widget.focus(scroll_visible=False)
            await pilot.pause()
            looked_at += 1
            if signs(pilot) == without:
                unseen.append(f"{type(widget).__name__}#{widget.id}")
        assert looked_at >= 2
        assert unseen == []


async def test_a_job_is_opened_by_a_click_on_its_row(monkeypatch: pytest.MonkeyPatch) -> None:
    wizard, client = app(), FakeClient(first=finished(), second=finished())
    monkeypatch.setattr(wizard, "daemon", client.clients)
    async with wizard.run_test(size=(110, 36)) as pilot:
        await pilot.press("j")
        await pilot.pause(0.3)
        assert isinstance(wizard.screen, JobsScreen)
        await pilot.click(RowTable, offset=(4, 2))  # marks the row
        await pilot.click(RowTable, offset=(4, 2))
        await pilot.pause(0.3)
        assert wizard.frame.query_one(Rail).current == "result"
        assert "first" in str(wizard.frame.query_one("#result-head", Static).visual)


async def test_digits_open_steps_from_a_run_whose_log_is_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    """A field in a part that is not shown would take every key that is pressed."""
    wizard, client = app(), FakeClient(first=finished())
    monkeypatch.setattr(wizard, "daemon", client.clients)
    wizard.job_id = 1
    async with wizard.run_test(size=(110, 36)) as pilot:
        await pilot.press("6")
        await pilot.pause(0.3)
        await pilot.press("7")
        await pilot.pause(0.3)
        assert wizard.frame.query_one(Rail).current == "result"
