"""The log: it follows its end, is searched, keeps its place while lines come, marks what it found without colour."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from histories import training
from live import Alone, FakeClient
from patience import until
from textual.pilot import Pilot
from textual.widgets import Input, Static

from tunesmith.tui import texts
from tunesmith.tui.screens.run import RunStep
from tunesmith.tui.widgets import log_view as module
from tunesmith.tui.widgets.log_view import LINES_SEARCHED, LogView, highlighted, joined, wrapped_line

Snap = Callable[..., bool]
LINES = [f"line {number}" + (" error: out of paper" if number % 40 == 7 else "") for number in range(1, 201)]


def client(text: str | None = None) -> FakeClient:
    fake = FakeClient(identity=training(9))
    fake.log_text = "\n".join(LINES) if text is None else text
    return fake


async def opened(pilot: Pilot[None]) -> LogView:
    step = pilot.app.query_one(RunStep)
    step.show_job(1)
    await until(pilot, lambda: step.view is not None)
    await pilot.press("l")
    log = pilot.app.query_one(LogView)
    await until(pilot, lambda: bool(log.text))
    await pilot.pause(0.05)
    return log


async def searched(pilot: Pilot[None], wanted: str) -> LogView:
    log = await opened(pilot)
    await pilot.press("slash")
    await until(pilot, lambda: log.query_one(Input).has_focus)
    await pilot.press(*wanted)
    await until(pilot, lambda: log.wanted == wanted)
    await pilot.pause(0.05)
    return log


def count(log: LogView) -> str:
    return str(log.query_one("#log-count", Static).render())


@pytest.mark.parametrize("language", list(texts.LANGUAGES))
@pytest.mark.parametrize("size", [(120, 36), (80, 24)], ids=["wide", "usual"])
def test_a_search_looks_right(snap_compare: Snap, size: tuple[int, int], language: str) -> None:
    async def look(pilot: Pilot[None]) -> None:
        await searched(pilot, "error")
        await pilot.press("enter", "N")
        await pilot.pause(0.05)

    texts.use(language)
    assert snap_compare(Alone(RunStep(client().clients)), terminal_size=size, run_before=look)


async def test_the_newest_match_is_shown_first_and_keys_walk_round() -> None:
    async with Alone(RunStep(client().clients)).run_test(size=(100, 30)) as pilot:
        log = await searched(pilot, "ERROR")
        assert count(log) == "5 of 5"
        await pilot.press("enter")
        for key, expected in (("n", "1 of 5"), ("n", "2 of 5"), ("N", "1 of 5"), ("N", "5 of 5")):
            await pilot.press(key)
            await pilot.pause()
            assert count(log) == expected
        assert not log.lines.at_end


async def test_the_chosen_match_is_in_view() -> None:
    async with Alone(RunStep(client().clients)).run_test(size=(100, 30)) as pilot:
        log = await searched(pilot, "line 47 ")
        await pilot.pause(0.05)
        top = log.lines.scroll_y
        assert top <= 46 <= top + log.lines.size.height


async def test_what_is_not_there_is_said_and_letters_go_into_the_field() -> None:
    async with Alone(RunStep(client().clients)).run_test(size=(100, 30)) as pilot:
        log = await searched(pilot, "nothing such")
        assert count(log) == "not found" and pilot.app.query_one(RunStep).body == "run-log"


async def test_escape_leaves_the_search_and_goes_to_the_end() -> None:
    async with Alone(RunStep(client().clients)).run_test(size=(100, 30)) as pilot:
        log = await searched(pilot, "error")
        await pilot.press("escape")
        await pilot.pause(0.05)
        assert not log.searching and log.wanted == "" and log.matches == []
        assert log.lines.has_focus and log.lines.at_end


async def test_it_follows_its_end_unless_scrolled_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "READ_EVERY_S", 0.02)
    fake = client()
    async with Alone(RunStep(fake.clients)).run_test(size=(100, 30)) as pilot:
        log = await opened(pilot)
        assert log.lines.at_end
        fake.log_text += "\nmore\nand more"
        await until(pilot, lambda: log.text.endswith("and more"))
        await until(pilot, lambda: log.lines.at_end)
        await pilot.press("home")
        await until(pilot, lambda: log.lines.scroll_y == 0)
        fake.log_text += "\nstill more"
        await until(pilot, lambda: log.text.endswith("still more"))
        await pilot.pause(0.05)
        assert log.lines.scroll_y == 0


async def test_slash_on_the_run_opens_the_log_and_the_search() -> None:
    async with Alone(RunStep(client().clients)).run_test(size=(100, 30)) as pilot:
        step = pilot.app.query_one(RunStep)
        step.show_job(1)
        await until(pilot, lambda: step.view is not None)
        await pilot.press("slash")
        await until(pilot, lambda: step.query_one("#log-wanted", Input).has_focus)
        assert step.body == "run-log"


async def test_a_pattern_is_only_text() -> None:
    async with Alone(RunStep(client("a [x] (b) .*\n[/bold] end").clients)).run_test(size=(100, 30)) as pilot:
        log = await searched(pilot, "[x] (b) .*")
        assert count(log) == "1 of 1"


def test_lines_that_come_are_added_where_the_two_meet() -> None:
    before, now = "\n".join(LINES[:60]), "\n".join(LINES[30:90])
    assert joined(before, now) == "\n".join(LINES[:90])


def test_a_last_line_that_was_half_written_is_taken_anew() -> None:
    before = "\n".join([*LINES[:30], "step 3"])
    assert joined(before, "\n".join([*LINES[:30], "step 31", "step 32"])).splitlines()[-2:] == ["step 31", "step 32"]


def test_logs_that_do_not_meet_and_very_long_ones() -> None:
    assert joined("\n".join(LINES[:50]), "other\nlines") == "other\nlines"
    assert joined("", "new") == "new" and joined("one", "") == ""
    many = [f"row {number}" for number in range(LINES_SEARCHED + 500)]
    assert len(joined("\n".join(many[:2000]), "\n".join(many[1900:])).splitlines()) == LINES_SEARCHED


def test_matches_are_told_apart_without_colour() -> None:
    content = highlighted("a b a", [(0, 1), (4, 5)], 1)
    assert content.plain == "a b a"
    assert [str(span.style) for span in content.spans] == ["underline", "reverse bold"]


@pytest.mark.parametrize(
    ("text", "place", "line"), [("abc\ndef", 5, 1), ("a" * 25 + "\nb", 26, 3), ("汉字" * 10 + "\nb", 21, 4), ("", 0, 0)]
)
def test_a_place_is_found_on_its_wrapped_line(text: str, place: int, line: int) -> None:
    assert wrapped_line(text, place, 10) == line
