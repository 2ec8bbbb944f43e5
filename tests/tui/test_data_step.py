"""The data step as a person uses it: files named, questions answered, rows looked at, a public set taken."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest
from patience import until
from textual.pilot import Pilot
from textual.widgets import Button, Input

from tunesmith.daemon.api import downloads
from tunesmith.daemon.api.home import Home
from tunesmith.recipes.errors import TunesmithError
from tunesmith.tui import texts
from tunesmith.tui.app import TunesmithApp
from tunesmith.tui.draft import GIVEN, OWN, Draft
from tunesmith.tui.screens.data import DataStep
from tunesmith.tui.widgets.data_report import DataReport
from tunesmith.tui.widgets.rail import Rail
from tunesmith.tui.widgets.row_preview import RowPreview
from tunesmith.tui.widgets.shape_question import ShapeQuestion
from tunesmith.tui.widgets.step_parts import Trouble

Compare = Callable[..., bool]
CHAT = [
    {"messages": [{"role": "user", "content": f"What is {n}?"}, {"role": "assistant", "content": f"A number,\n{n}."}]}
    for n in range(40)
]


def jsonl(path: Path, rows: Sequence[object]) -> Path:
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows), "utf-8")
    return path


def wizard(home: Path, file: Path | str, **typed: str) -> TunesmithApp:
    draft = Draft.starter()
    draft.data, draft.data_file = OWN, str(file)
    draft.typed.update({key.replace("_", ".", 1): value for key, value in typed.items()})
    return TunesmithApp(Home(home), draft, live=False)


async def opened(pilot: Pilot[None]) -> DataStep:
    """The step once its check is done."""
    await pilot.press("f4")
    step = pilot.app.screen.query_one(DataStep)
    await until(pilot, lambda: step.report is not None or step.query_one(Trouble).display)
    return step


def report(step: DataStep) -> str:
    return str(step.query_one(DataReport).render())


def preview(step: DataStep) -> str:
    return str(step.query_one(RowPreview).query_one("#preview-text").visual)  # type: ignore[attr-defined]


@pytest.fixture
def home(tmp_path: Path, starter_tokenizer_folder: Path) -> Path:
    """A home in which the starter model's tokenizer lies."""
    (tmp_path / "home" / "models").mkdir(parents=True)
    (tmp_path / "home" / "models" / "starter").symlink_to(starter_tokenizer_folder)
    return tmp_path / "home"


async def test_reasons_are_grouped_and_their_first_places_named(tmp_path: Path, home: Path) -> None:
    file = jsonl(tmp_path / "rows.jsonl", [*CHAT, "{", "{", '{"messages": []}', "{", "{", CHAT[0]])
    app = wizard(home, file)
    async with app.run_test(size=(100, 50)) as pilot:
        said = report(await opened(pilot))
        assert "46 rows read" in said and "41 kept" in said and "5 left out" in said
        assert "4 ×" in said and "rows.jsonl:41  rows.jsonl:42  rows.jsonl:44 …" in said
        assert "Copies of earlier rows: 1." in said
        assert "median" in said and "17 % of" in said and "█" in said


async def test_rows_are_turned_by_keys_and_mouse_and_show_what_is_trained(tmp_path: Path, home: Path) -> None:
    app = wizard(home, jsonl(tmp_path / "rows.jsonl", CHAT))
    async with app.run_test(size=(100, 60)) as pilot:
        step = await opened(pilot)
        shown = step.query_one(RowPreview)
        assert "What is 0?" in preview(step) and "A number,↵\n0.<|im_end|>" in preview(step)
        shown.focus()
        await pilot.press("right")
        assert "What is 1?" in preview(step)
        await pilot.press("left", "left")
        assert "What is 39?" in preview(step)
        await pilot.click("#preview-next")
        assert "What is 0?" in preview(step)
        await pilot.click("#preview-previous")
        assert "What is 39?" in preview(step)


async def test_what_is_trained_is_underlined_and_nothing_else(tmp_path: Path, home: Path) -> None:
    app = wizard(home, jsonl(tmp_path / "rows.jsonl", CHAT[:1]))
    async with app.run_test(size=(100, 60)) as pilot:
        step = await opened(pilot)
        content = step.query_one("#preview-text").visual  # type: ignore[attr-defined]
        underlined = [content.plain[span.start : span.end] for span in content.spans if "underline" in str(span.style)]
        assert underlined == ["A number,↵\n0.<|im_end|>", texts.t("data.is_trained")]


async def test_ambiguous_columns_are_asked_about_and_the_answer_is_in_the_recipe(tmp_path: Path, home: Path) -> None:
    rows = [{"left": f"Say {n}", "right": f"{n}!"} for n in range(30)]
    app = wizard(home, jsonl(tmp_path / "rows.jsonl", rows))
    async with app.run_test(size=(100, 60)) as pilot:
        step = await opened(pilot)
        question = step.query_one(ShapeQuestion)
        assert question.display and not step.query_one(DataReport).display
        await pilot.click("#card-mapping-0")
        await until(pilot, lambda: step.report is not None)
        assert not question.display and "30 kept" in report(step) and "left → query" in report(step)
        spec = app.draft.spec()
        assert (spec.data.shape, spec.data.map) == ("query_response", {"left": "query", "right": "response"})
        await pilot.press("ctrl+e")
        await until(pilot, lambda: question.display)
        await pilot.click(f"#card-mapping-{len(question.choices) - 1}")
        await until(pilot, lambda: app.draft.data_map == {} and step.query_one(Trouble).display)


async def test_a_mapping_can_be_typed_and_a_wrong_one_is_asked_again(tmp_path: Path, home: Path) -> None:
    rows = [{"left": f"Say {n}", "right": f"{n}!"} for n in range(30)]
    app = wizard(home, jsonl(tmp_path / "rows.jsonl", rows))
    async with app.run_test(size=(100, 60)) as pilot:
        step = await opened(pilot)
        field = step.query_one("#question-typed", Input)
        field.focus()
        field.value = "nope=query right=response"
        await pilot.press("enter")
        await until(pilot, lambda: "nope" in str(step.query_one(Trouble).visual))
        await until(pilot, lambda: step.query_one(ShapeQuestion).display)
        field.focus()
        field.value = "right=query, left=response"
        await pilot.press("enter")
        await until(pilot, lambda: step.report is not None)
        assert app.draft.data_map == {"right": "query", "left": "response"}


async def test_where_there_is_nothing_to_choose_it_is_said_how_to_name_the_columns(tmp_path: Path, home: Path) -> None:
    app = wizard(home, jsonl(tmp_path / "rows.jsonl", [{"left": n, "right": -n} for n in range(9)]))
    async with app.run_test(size=(100, 60)) as pilot:
        step = await opened(pilot)
        question, trouble = step.query_one(ShapeQuestion), str(step.query_one(Trouble).render())
        assert question.display and question.choices == []
        assert "Choose below" not in trouble and "question=query" in trouble
        step.query_one("#data-file", Input).focus()
        await pilot.press("enter")
        await until(pilot, lambda: step.query_one("#question-typed").has_focus)
        assert str(step.query_one(Trouble).render()) == trouble, "to go on is to answer, not to wait"


@pytest.mark.parametrize("model", [GIVEN, OWN])
async def test_why_tokens_are_not_counted_is_true_of_the_model(tmp_path: Path, model: str) -> None:
    app = wizard(tmp_path / "empty", jsonl(tmp_path / "rows.jsonl", CHAT))
    app.draft.model, app.draft.model_folder = model, "owner/some-model"
    async with app.run_test(size=(100, 60)) as pilot:
        said = report(await opened(pilot))
        assert ("comes with Tunesmith" in said, "not on this machine" in said) == (model == GIVEN, model == OWN)


async def test_another_path_forgets_the_answer_and_the_old_rows(tmp_path: Path, home: Path) -> None:
    rows = [{"left": f"Say {n}", "right": f"{n}!"} for n in range(30)]
    app = wizard(home, jsonl(tmp_path / "rows.jsonl", rows))
    app.draft.data_map = {"left": "query", "right": "response"}
    async with app.run_test(size=(100, 60)) as pilot:
        step = await opened(pilot)
        assert "30 kept" in report(step)
        step.query_one("#data-file", Input).value = str(jsonl(tmp_path / "chat.jsonl", CHAT))
        await until(pilot, lambda: step.report is not None and step.report.rows_kept == 40)
        assert app.draft.data_map == {}


async def test_continue_waits_for_the_last_row(tmp_path: Path, home: Path) -> None:
    rows = [{"question": f"What is {n}?", "answer": "x" * 300} for n in range(30_000)]
    app = wizard(tmp_path / "no-home", jsonl(tmp_path / "rows.jsonl", rows))
    async with app.run_test(size=(100, 60)) as pilot:
        await pilot.press("f4")
        await until(pilot, lambda: app.screen.query_one(DataReport).display)
        assert app.screen.query_one(DataStep).report is None, "still reading"
        await pilot.press("ctrl+n")
        assert app.frame.query_one(Rail).current == "data"
        await until(pilot, lambda: app.frame.query_one(Rail).current == "recipe")


async def test_the_language_changes_while_a_file_is_read(tmp_path: Path, home: Path) -> None:
    rows = [{"question": f"What is {n}?", "answer": "x" * 300} for n in range(20_000)]
    app = wizard(tmp_path / "no-home", jsonl(tmp_path / "rows.jsonl", rows))
    async with app.run_test(size=(100, 60)) as pilot:
        await pilot.press("f4")
        step = app.screen.query_one(DataStep)
        for language in ("zh", "en", "zh"):
            await pilot.pause(0.3)
            await app.speak(language)
        await until(pilot, lambda: step.report is not None)
        assert "保留 20,000" in report(step)
        await pilot.press("ctrl+o")
        await app.speak("en")
        await pilot.press(*"gsm8k")
        assert "tunesmith data get gsm8k" in str(app.screen.query_one("#set-facts").visual)  # type: ignore[attr-defined]


async def test_data_of_a_shape_that_is_not_trained_yet_is_shown_and_stops_the_step(tmp_path: Path, home: Path) -> None:
    rows = [{"prompt": f"Say {n}", "chosen": f"{n}!", "rejected": "no"} for n in range(30)]
    app = wizard(home, jsonl(tmp_path / "rows.jsonl", rows))
    async with app.run_test(size=(100, 60)) as pilot:
        step = await opened(pilot)
        await pilot.press("ctrl+n")
        await pilot.pause(0.2)
        assert app.frame.query_one(Rail).current == "data" and step.query_one(Trouble).display
        assert texts.t("data.part_chosen") in preview(step) and texts.t("data.part_rejected") in preview(step)


async def test_a_length_set_in_the_recipe_is_drawn_and_counted(tmp_path: Path, home: Path) -> None:
    long: object = {"messages": [{"role": "user", "content": "Go on"}, {"role": "assistant", "content": "so " * 99}]}
    file = jsonl(tmp_path / "rows.jsonl", [*CHAT, long])
    app = wizard(home, file, training_max_length="64", data_over_long="cut_right")
    async with app.run_test(size=(100, 60)) as pilot:
        step = await opened(pilot)
        said = report(step)
        assert "┊64" in said and "Longer than 64 tokens, cut at the end: 1" in said
        step.query_one(RowPreview).action_turn(-1)
        await pilot.pause()
        assert "▲ longer than 64 tokens (" in preview(step)


async def test_a_public_set_that_is_here_is_taken_with_its_shape(tmp_path: Path, home: Path) -> None:
    folder = home / "data" / "gsm8k"
    folder.mkdir(parents=True)
    (folder / ".hub.json").write_text("{}")
    jsonl(folder / "train.jsonl", [{"question": f"What is {n}?", "answer": f"{n}"} for n in range(9)])
    app = wizard(home, "")
    async with app.run_test(size=(100, 40)) as pilot:
        await pilot.press("f4", "ctrl+o")
        await pilot.press(*"gsm8k", "enter", "enter")
        step = app.screen.query_one(DataStep)
        await until(pilot, lambda: step.report is not None)
        assert app.draft.data_file == str(folder) and app.draft.data_shape == "query_response"
        assert "9 kept" in report(step)


async def test_a_public_set_is_fetched_and_a_failure_is_said(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def download(home: Home, key: str) -> AsyncIterator[downloads.Downloading]:
        yield downloads.Downloading(10, 100)
        raise TunesmithError("The hub does not answer", "Look at the network.")

    monkeypatch.setattr(downloads, "download", download)
    app = wizard(home, "")
    async with app.run_test(size=(100, 40)) as pilot:
        await pilot.press("f4", "ctrl+o", *"gsm8k", "enter")
        assert app.screen.query_one("#set-take", Button).has_focus
        await pilot.press("enter")
        await until(pilot, lambda: "does not answer" in str(app.screen.query_one("#set-trouble", Trouble).visual))
        await pilot.press("escape")
        assert app.draft.data_file == ""


MIXED: list[object] = [
    *CHAT,
    *[CHAT[0]] * 3,
    {"messages": [{"role": "user", "content": "Tell me more"}, {"role": "assistant", "content": "More. " * 60}]},
    "{",
    '{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": " "}]}',
]


@pytest.mark.parametrize(
    ("size", "language", "light"),
    [((80, 44), "en", False), ((120, 44), "zh", True), ((40, 16), "en", False)],
    ids=["narrow", "wide-zh-light", "tiny"],
)
def test_a_report_looks_right(
    snap_compare: Compare, tmp_path: Path, home: Path, size: tuple[int, int], language: str, light: bool
) -> None:
    app = wizard(home, "rows.jsonl", training_max_length="128")

    async def before(pilot: Pilot[None]) -> None:
        texts.use(language)
        if light:
            app.action_next_theme()
        await opened(pilot)
        await still(pilot)

    jsonl(tmp_path / "rows.jsonl", MIXED)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        assert snap_compare(app, terminal_size=size, run_before=before)


def test_the_question_looks_right(snap_compare: Compare, tmp_path: Path, home: Path) -> None:
    app = wizard(home, "rows.jsonl")

    async def before(pilot: Pilot[None]) -> None:
        await opened(pilot)
        await still(pilot)

    jsonl(tmp_path / "rows.jsonl", [{"image": f"{n}.png", "text": f"a ball, the {n}th"} for n in range(9)])
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        assert snap_compare(app, terminal_size=(80, 32), run_before=before)


def test_the_public_sets_look_right(snap_compare: Compare) -> None:
    async def before(pilot: Pilot[None]) -> None:
        await pilot.press("f4", "ctrl+o", *"zh")
        await still(pilot)

    assert snap_compare(wizard(Path("/nowhere"), ""), terminal_size=(80, 24), run_before=before)


async def still(pilot: Pilot[None]) -> None:
    """Nothing blinks."""
    await pilot.pause(0.2)
    for field in pilot.app.screen.query(Input):
        field.cursor_blink = False
    await pilot.pause()
