"""The cache of models on screen: a real hub's model comes, is checked, is damaged, and goes; and what is refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

import beside
import msgspec
import pytest
from histories import finished, training
from hub_models import ID, environment, files, safetensors
from hub_server import FakeHub
from live import FakeClient
from patience import until
from planned import on_cpu
from textual.pilot import Pilot
from textual.widgets import Input, Static

from tunesmith.daemon.api import model_store, models
from tunesmith.daemon.api.downloads import Waiting
from tunesmith.daemon.api.home import Home
from tunesmith.tui import model_rows, models_here
from tunesmith.tui.app import TunesmithApp
from tunesmith.tui.model_work import Now
from tunesmith.tui.screens import models as module
from tunesmith.tui.screens.ask import AskScreen
from tunesmith.tui.screens.models import ModelsScreen
from tunesmith.tui.widgets.confirm import Confirm
from tunesmith.tui.widgets.model_progress import ModelProgress
from tunesmith.tui.widgets.row_table import RowTable


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_EVERY_S", 0.1)
    monkeypatch.setattr(module, "LOOK_SHARE", 0)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    with FakeHub(ID, files(), "model", {"license": "apache-2.0", "gated": False}).serve() as fake:
        for name, value in environment(tmp_path, fake.url).items():
            monkeypatch.setenv(name, value)
        yield fake


def wizard(tmp_path: Path, client: FakeClient | None = None) -> TunesmithApp:
    app = TunesmithApp(Home(tmp_path / "home"), machine=on_cpu(16, 10), live=False)
    if client is not None:
        app.daemon = client.clients  # type: ignore[assignment, method-assign]
    return app


async def opened(pilot: Pilot[None]) -> ModelsScreen:
    await pilot.press("m")
    screen = pilot.app.screen
    assert isinstance(screen, ModelsScreen)
    await until(pilot, lambda: screen.rows is not None)
    return screen


def said(screen: ModelsScreen, name: str) -> str:
    return str(screen.query_one(name, Static).render())


async def test_a_model_comes_is_checked_and_goes(hub: FakeHub, tmp_path: Path) -> None:
    app = wizard(tmp_path)
    async with app.run_test(size=(120, 36)) as pilot:
        screen = await opened(pilot)
        assert "No model is here yet" in said(screen, "#models-note")
        await pilot.press("g")
        await until(pilot, lambda: isinstance(app.screen, AskScreen))
        app.screen.query_one(Input).value = ID
        await pilot.press("enter")
        await until(pilot, lambda: screen.chosen is not None and screen.chosen.state == "whole")
        row = screen.chosen
        assert row is not None and (row.name, row.hub) == (ID, "modelscope")
        await until(pilot, lambda: f"{ID} is here" in str(screen.query_one(ModelProgress).render()))
        await pilot.press("v")
        await until(
            pilot,
            lambda: screen.chosen is not None and screen.chosen.state == "verified" and screen.doing.now is None,
        )
        weights = row.folder / "model.safetensors"
        weights.unlink()
        weights.write_bytes(safetensors(rows=4096, fill=b"\x00\x00"))
        await pilot.press("v")
        await until(pilot, lambda: screen.chosen is not None and screen.chosen.state == "damaged")
        await pilot.pause(0.3)
        assert "model.safetensors is damaged" in said(screen, "#models-facts")
        await pilot.press("d")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        await pilot.press("y")
        await until(pilot, lambda: screen.rows == [])
    assert model_store.snapshots(app.home) == []


async def test_news_for_a_screen_that_is_taken_away_ends_nothing(tmp_path: Path) -> None:
    app = wizard(tmp_path)
    async with app.run_test(size=(120, 36)) as pilot:
        screen = await opened(pilot)
        await screen.query_one("#models-title").remove()  # as its parts go one after the other
        screen._show()
        await pilot.press("escape")


async def test_a_name_that_no_hub_has_is_said_with_the_way_out(hub: FakeHub, tmp_path: Path) -> None:
    app = wizard(tmp_path)
    async with app.run_test(size=(120, 36)) as pilot:
        screen = await opened(pilot)
        app._model_work.pull("no-such-model")  # type: ignore[union-attr]
        await until(pilot, lambda: screen.doing.ended is not None)
        await pilot.pause(0.4)
        text = str(screen.query_one(ModelProgress).render())
        assert "no-such-model" in text and "→" in text


async def endless(home: Home, name: str) -> AsyncGenerator[Waiting, None]:
    yield Waiting("for ever")
    await asyncio.Event().wait()


async def test_a_pull_goes_on_while_the_screen_is_closed_and_stops_when_told(
    hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = wizard(tmp_path)
    async with app.run_test(size=(120, 36)) as pilot:
        screen = await opened(pilot)
        screen.doing.pull(ID)
        await pilot.press("escape")
        await until(pilot, lambda: model_store.snapshots(app.home))
        screen = await opened(pilot)
        monkeypatch.setattr(models, "pull", endless)
        screen.doing.pull("another/model")
        await pilot.press("g")
        assert app.screen is screen, "only one thing at a time"
        await pilot.press("x")
        assert screen.doing.now is None and screen.doing.ended is not None and screen.doing.ended.stopped


@pytest.mark.parametrize("living", [True, False])
async def test_a_model_of_a_run_that_is_not_over_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, living: bool
) -> None:
    one = beside.snapshot("modelscope", "Qwen/Qwen3-0.6B", 1503)
    removed: list[str] = []

    def remove(home: Home, models: list[models_here.Chosen]) -> int:
        removed.extend(one.name for one in models)
        return 0

    monkeypatch.setattr(models_here, "look", lambda home: beside.here(one, runs={0: [1]}))
    monkeypatch.setattr(models_here, "freed", lambda models: 1_503_000_000)
    monkeypatch.setattr(models_here, "remove", remove)
    app = wizard(tmp_path, FakeClient(run=training(9) if living else finished()))
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await opened(pilot)
        await pilot.press("d")
        if living:
            await until(pilot, lambda: app._notifications)
            assert "used by run 1" in next(iter(app._notifications)).message
            assert removed == []
            return
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        assert "1.5 GB" in str(app.screen.query_one(Static).render())
        await pilot.press("escape")
        await pilot.pause(0.1)
        assert removed == []


async def test_ten_thousand_models_are_there_to_scroll_and_filter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = [beside.snapshot("modelscope", f"owner/model-{number:05}", 10) for number in range(10_000)]
    monkeypatch.setattr(module, "LOOK_EVERY_S", 3600)
    monkeypatch.setattr(models_here, "look", lambda home: beside.here(*many))
    async with wizard(tmp_path).run_test(size=(80, 24)) as pilot:
        screen = await opened(pilot)
        await pilot.press("end")
        assert screen.chosen is not None and screen.chosen.name == "owner/model-09999"
        await pilot.press("slash", *"model-00042", "enter")
        await pilot.pause(0.1)
        assert [row.name for row in screen.query_one(RowTable).rows] == ["owner/model-00042"]
        assert "1 of 10000" in said(screen, "#models-title")


def test_what_is_not_complete_stands_first_and_says_how_much_is_here() -> None:
    rows = model_rows.rows(beside.SEVERAL, {})
    assert [row.state for row in rows] == ["partial", "whole", "whole", "whole", "whole"]
    assert "63%" in model_rows.state(rows[0]).plain
    assert rows[0].asked == "huggingface:mistralai/Mistral-7B-Instruct-v0.3"
    assert [row.runs for row in rows if row.runs] == [(3, 5, 8, 9), (12,)]
    assert "quantized" in "\n".join(line.plain for line in model_rows.facts(rows[2]))


def test_a_record_that_cannot_be_read_is_a_damaged_model() -> None:
    (row,) = model_rows.rows(beside.here(beside.snapshot("modelscope", "a/b", 1, whole=False)), {})
    assert row.state == "damaged" and "record" in model_rows.facts(row)[2].plain


def test_progress_is_figures_and_words() -> None:
    from tunesmith.tui.widgets.model_progress import now_text

    now = Now("pull", "Qwen/Qwen3-0.6B", "downloading", 400_000_000, 1_600_000_000)
    assert "25%  400.0 MB of 1.6 GB" in now_text(now).plain
    assert "verifying" in now_text(msgspec.structs.replace(now, phase="checking")).plain
    assert "waits: another" in now_text(Now("pull", "x", "waiting", waits="another")).plain
