"""The catalogue in the model step: badges for this machine, a filter, and what to do for a model that is not here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from patience import until
from planned import Fixed, model_folder, on_gpu, wizard
from textual.pilot import Pilot
from textual.widgets import Input, OptionList, Static

from tunesmith.recipes.models import catalogue
from tunesmith.tui import texts
from tunesmith.tui.app import TunesmithApp
from tunesmith.tui.screens.model import ModelStep
from tunesmith.tui.widgets.model_catalogue import ModelCatalogue, matches
from tunesmith.tui.widgets.rail import Rail

Compare = Callable[..., bool]
NAME = "qwen2.5-0.5b-instruct"


async def listing(pilot: Pilot[None]) -> ModelCatalogue:
    """The catalogue opened, with its badges."""
    await pilot.press("f3")
    shown = pilot.app.screen.query_one(ModelCatalogue)
    await pilot.click("#card-catalogue")
    await until(pilot, lambda: shown.badges and shown.query_one(OptionList).option_count)
    return shown


def rows(shown: ModelCatalogue) -> list[str]:
    options = shown.query_one(OptionList)
    return [str(options.get_option_at_index(at).prompt) for at in range(options.option_count)]


def facts(shown: ModelCatalogue) -> str:
    return str(shown.query_one("#catalogue-facts", Static).visual)


def app_of(folder: Path) -> TunesmithApp:
    return wizard(folder, on_gpu(12, 9))


async def test_every_model_has_a_badge_and_what_fits_comes_first(tmp_path: Path) -> None:
    async with app_of(tmp_path).run_test(size=(100, 40)) as pilot:
        shown = await listing(pilot)
        assert len(rows(shown)) == len(catalogue.catalogue()) == len(shown.badges)
        marks = [row[0] for row in rows(shown)]
        assert marks == sorted(marks, key="✓▲◆✗".index) and {"✓", "✗"} <= set(marks)


async def test_typing_filters_by_every_word(tmp_path: Path) -> None:
    async with app_of(tmp_path).run_test(size=(100, 40)) as pilot:
        shown = await listing(pilot)
        shown.query_one("#model-filter", Input).value = "qwen 0.5b apache"
        await pilot.pause()
        assert rows(shown) and all("0.5B" in row for row in rows(shown))
        shown.query_one("#model-filter", Input).value = "no such model"
        await pilot.pause()
        assert rows(shown) == [] and facts(shown) == texts.t("model.none_found")


async def test_a_model_that_is_not_here_is_taken_by_its_id_and_its_size_is_said(tmp_path: Path) -> None:
    app = app_of(tmp_path)
    async with app.run_test(size=(100, 40)) as pilot:
        shown = await listing(pilot)
        shown.query_one("#model-filter", Input).value = NAME
        await pilot.pause()
        await pilot.press("enter")
        assert "tunesmith models pull Qwen/Qwen2.5-0.5B-Instruct" in facts(shown)
        assert "988.1 MB" in facts(shown)
        assert app.draft.model == "starter"
        await pilot.press("enter")  # it is taken
        await pilot.pause(0.2)
        assert (app.draft.model, app.draft.model_folder) == ("own", "Qwen/Qwen2.5-0.5B-Instruct")
        step = app.screen.query_one(ModelStep)
        await until(pilot, lambda: "988.1 MB" in str(step.query_one("#model-facts", Static).visual))
        app.draft.data, app.draft.data_file = "own", "rows.jsonl"
        assert app.draft.spec().model.source == "Qwen/Qwen2.5-0.5B-Instruct"
        await pilot.press("ctrl+n")
        await until(pilot, lambda: app.frame.query_one(Rail).current == "data")


@pytest.mark.parametrize("how", ["enter", "mouse"])
async def test_a_model_that_lies_here_is_taken_at_once(tmp_path: Path, how: str) -> None:
    folder = model_folder(tmp_path / "home" / "models", NAME)
    (folder / "model.safetensors").touch()
    app = app_of(tmp_path)
    async with app.run_test(size=(100, 40)) as pilot:
        shown = await listing(pilot)
        assert rows(shown)[0].find("Qwen2.5-0.5B-Instruct") > 0
        if how == "enter":
            await pilot.press("down", "enter")
        else:
            await pilot.click(OptionList, offset=(4, 0))
        await pilot.pause(0.2)
        assert (app.draft.model, app.draft.model_folder) == ("own", str(folder))
        assert not shown.display


async def test_going_on_from_the_list_takes_what_is_marked(tmp_path: Path) -> None:
    app = app_of(tmp_path)
    async with app.run_test(size=(100, 40)) as pilot:
        await listing(pilot)
        await pilot.press("ctrl+n")
        await pilot.pause(0.2)
        assert app.frame.query_one(Rail).current == "model" and app.draft.model == "own"


async def test_a_folder_that_is_checked_shows_how_it_fits(tmp_path: Path) -> None:
    folder = model_folder(tmp_path, NAME)
    (folder / "tokenizer.json").touch()
    header = b'{"w":{"dtype":"BF16","shape":[4,4],"data_offsets":[0,32]}}'
    (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(32))
    app = app_of(tmp_path)
    async with app.run_test(size=(100, 40)) as pilot:
        await pilot.press("f3")
        await pilot.click("#card-own")
        app.screen.query_one("#model-folder", Input).value = str(folder)
        step = app.screen.query_one(ModelStep)
        await until(pilot, lambda: "9.0 GB" in str(step.query_one("#model-facts", Static).visual))


def test_a_model_is_found_by_family_licence_and_hub() -> None:
    entry = catalogue.find(NAME)
    assert all(matches(entry, typed) for typed in ("Qwen", "qwen2.5 instruct", "apache", ""))
    assert not matches(entry, "llama")


@pytest.mark.parametrize(
    ("size", "language", "light"),
    [((80, 24), "en", False), ((120, 40), "zh", True), ((40, 12), "en", False)],
    ids=["en", "wide-zh-light", "tiny"],
)
def test_the_catalogue_looks_right(
    snap_compare: Compare,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    size: tuple[int, int],
    language: str,
    light: bool,
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    Fixed()(monkeypatch)
    app = app_of(tmp_path)

    async def look(pilot: Pilot[None]) -> None:
        await pilot.pause()
        await app.speak(language)
        if light:
            app.action_next_theme()
        await pilot.press("f3")
        step = app.screen.query_one(ModelStep)
        step.query_one("#card-catalogue").action_pick()  # type: ignore[attr-defined]
        shown = step.query_one(ModelCatalogue)
        await until(pilot, lambda: shown.badges)
        shown.query_one("#model-filter", Input).value = "qwen3"
        for field in app.screen.query(Input):
            field.cursor_blink = False
        await pilot.pause(0.3)

    assert snap_compare(app, terminal_size=size, run_before=look)
