"""The table of jobs: it stays fresh, keeps its cursor, opens, cancels and shows logs."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable

import pytest
from histories import START, failed, finished, training, waiting
from live import Alone, FakeClient
from textual.pilot import Pilot
from textual.widgets import Static

from tunesmith.daemon.api import events as e
from tunesmith.daemon.api.listing import JobLine, Lines, line_of
from tunesmith.daemon.api.view import JobView
from tunesmith.tui import texts
from tunesmith.tui.messages import JobStarted, OpenResult, OpenRun
from tunesmith.tui.screens import jobs as module
from tunesmith.tui.screens.jobs import JobsScreen
from tunesmith.tui.widgets.confirm import Confirm
from tunesmith.tui.widgets.log_view import LogView
from tunesmith.tui.widgets.row_table import RowTable

Snap = Callable[..., bool]


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    module.time.tzset()
    monkeypatch.setattr(module.time, "time", lambda: START + 75)


def client() -> FakeClient:
    return FakeClient(identity=training(41), whole=finished(), broken=failed())


async def open_jobs(pilot: Pilot[None], fake: FakeClient) -> JobsScreen:
    screen = JobsScreen(fake.clients)
    await pilot.app.push_screen(screen)
    await pilot.pause(0.1)
    return screen


@pytest.mark.parametrize("size", [(110, 24), (80, 24), (40, 12)])
def test_the_table_looks_right(snap_compare: Snap, size: tuple[int, int]) -> None:
    async def look(pilot: Pilot[None]) -> None:
        await open_jobs(pilot, client())
        await pilot.press("down", "l")
        await pilot.pause(0.1)

    assert snap_compare(Alone(Static()), terminal_size=size, run_before=look)


@pytest.mark.parametrize("language", list(texts.LANGUAGES))
@pytest.mark.parametrize(("hours", "said"), [(3, "3:00:00"), (99, "99:00:00"), (100, "4 4"), (2_399, "99 23")])
def test_what_a_job_took_fits_its_column(hours: int, said: str, language: str) -> None:
    texts.use(language)
    shown = module.took(line_of(JobView(1, "long", started=START, ended=START + 3600 * hours)))
    column = next(column for column in module.columns(lambda job_id: False) if column.key == "took")
    assert shown.cell_length <= column.cells
    assert re.sub(r"[^0-9:]+", " ", shown.plain).strip() == said


@pytest.mark.parametrize("language", list(texts.LANGUAGES))
async def test_a_queued_job_says_what_it_waits_for(language: str) -> None:
    texts.use(language)
    async with Alone(Static()).run_test(size=(110, 24)) as pilot:
        screen = await open_jobs(pilot, FakeClient(held=waiting(), first=training(3)))
        first, held = (module.progress(job).plain for job in screen.jobs)
        assert "8.1 GB" in held and texts.t("forecast.what_device") in held
        assert "8.1 GB" not in first


async def test_the_cursor_stays_on_its_job_when_a_new_one_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REFRESH_S", 0.02)
    fake = client()
    async with Alone(Static()).run_test(size=(100, 24)) as pilot:
        screen = await open_jobs(pilot, fake)
        await pilot.press("down")
        fake.histories[4], fake.names[4] = [e.Queued(time=START)], "another"
        await pilot.pause(0.2)
        assert len(screen.query_one(RowTable).rows) == 4
        assert screen._selected().id == 2  # type: ignore[union-attr]


@pytest.mark.parametrize(("downs", "kind", "job_id"), [(0, OpenRun, 3), (1, OpenResult, 2), (2, OpenRun, 1)])
async def test_enter_opens_the_run_or_its_result(downs: int, kind: type[OpenRun | OpenResult], job_id: int) -> None:
    app = Alone(Static())
    async with app.run_test(size=(100, 24)) as pilot:
        screen = await open_jobs(pilot, client())
        await pilot.press(*["down"] * downs, "enter")
        await pilot.pause(0.05)
        assert app.screen is not screen
        assert [(type(m), m.job_id) for m in app.received if isinstance(m, OpenRun | OpenResult)] == [(kind, job_id)]


async def test_cancel_is_only_for_a_job_that_runs() -> None:
    fake, app = client(), Alone(Static())
    async with app.run_test(size=(100, 24)) as pilot:
        await open_jobs(pilot, fake)
        await pilot.press("c")
        await pilot.pause()
        assert not isinstance(app.screen, Confirm)
        await pilot.press("end", "down", "down", "c")
        await pilot.pause()
        assert isinstance(app.screen, Confirm)
        await pilot.press("y")
        await pilot.pause(0.1)
        assert fake.cancelled == [1]


async def test_a_job_that_failed_goes_on_and_is_shown() -> None:
    fake, app = client(), Alone(Static())
    async with app.run_test(size=(100, 24)) as pilot:
        screen = await open_jobs(pilot, fake)
        failed_at = [job.state for job in screen.jobs].index("failed")
        await pilot.press(*["down"] * failed_at, "r")
        await pilot.pause(0.1)
        assert fake.resumed == [screen.jobs[failed_at].id]
        assert [m.job_id for m in app.received if isinstance(m, JobStarted)] == fake.resumed


async def test_the_log_of_the_chosen_job_is_shown() -> None:
    async with Alone(Static()).run_test(size=(100, 24)) as pilot:
        screen = await open_jobs(pilot, client())
        await pilot.press("l")
        await pilot.pause(0.1)
        assert "loading weights" in screen.query_one(LogView).text


async def test_no_jobs_and_no_daemon_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REFRESH_S", 0.02)
    fake = FakeClient()
    async with Alone(Static()).run_test(size=(100, 24)) as pilot:
        screen = await open_jobs(pilot, fake)
        assert "No jobs yet" in str(screen.query_one("#jobs-note").render())
        fake.down = True
        monkeypatch.setattr(fake, "lines", fake.clients)
        await pilot.pause(0.1)
        assert "does not answer" in str(screen.query_one("#jobs-note").render())


async def test_a_change_of_language_keeps_the_rows() -> None:
    async with Alone(Static()).run_test(size=(110, 24)) as pilot:
        screen = await open_jobs(pilot, client())
        texts.use("zh")
        again = asyncio.create_task(screen.recompose())
        await asyncio.sleep(0)
        screen._refresh()  # the daemon's answer may come at any moment
        await again
        await pilot.pause(0.1)
        assert len(screen.query_one(RowTable).rows) == 3
        assert "进度" in [column.title for column in screen.query_one(RowTable).columns]


class Many(FakeClient):
    """Ten thousand jobs; after the first answer only what changed is told."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.then = Lines("one.2", (JobLine(10_001, "new", "queued"), JobLine(7, "seven", "failed")), (3,), whole=False)

    async def lines(self, after: str = "") -> Lines:
        self.asked.append(after)
        if after == "one.2":
            return Lines("one.2", (), whole=False)
        if after == "one.1":
            return self.then
        return Lines("one.1", tuple(JobLine(id, f"run {id}", "finished") for id in range(1, 10_001)))


async def test_ten_thousand_jobs_are_all_reached_and_only_changes_are_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "REFRESH_S", 3600)
    fake = Many()
    async with Alone(Static()).run_test(size=(100, 24)) as pilot:
        screen = await open_jobs(pilot, fake)
        table = screen.query_one(RowTable)
        await pilot.press("end")
        assert (len(table.rows), screen._selected()) == (10_000, JobLine(1, "run 1", "finished"))
        assert table.scroll_offset.y + table.room == 10_000
        screen._refresh()
        await pilot.pause(0.1)
        screen._refresh()
        await pilot.pause(0.1)
        assert fake.asked == ["", "one.1", "one.2"]
        assert [job.id for job in screen.jobs[:2]] == [10_001, 10_000] and len(screen.jobs) == 10_000
        assert screen._selected() == JobLine(1, "run 1", "finished")
        assert next(job for job in screen.jobs if job.id == 7).state == "failed"
        assert 3 not in [job.id for job in screen.jobs]


async def test_slash_filters_by_name_number_and_state() -> None:
    async with Alone(Static()).run_test(size=(100, 24)) as pilot:
        screen = await open_jobs(pilot, client())
        await pilot.press("slash", *"failed")
        await pilot.pause(0.1)
        assert [job.name for job in screen.query_one(RowTable).rows] == ["broken"]
        assert "1 of 3" in str(screen.query_one("#jobs-title", Static).render())
        await pilot.press("enter")
        assert isinstance(screen.focused, RowTable)
        await pilot.press("slash", "x")
        await pilot.pause(0.1)
        assert "No row says that" in str(screen.query_one("#jobs-note", Static).render())
        await pilot.press("escape")
        await pilot.pause(0.1)
        assert len(screen.query_one(RowTable).rows) == 3 and screen.is_current
