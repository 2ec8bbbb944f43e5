"""The wizard's check is the command's: every row accounted for, live, in another thread, ended when it is left."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from contextlib import aclosing
from pathlib import Path

import pytest

from tunesmith.daemon.api.home import Home
from tunesmith.recipes.data.checking.findings import FINDINGS
from tunesmith.recipes.data.reasons import REASONS
from tunesmith.recipes.data.shapes import cards
from tunesmith.recipes.errors import DataError
from tunesmith.tui import data_check
from tunesmith.tui.data_check import Found, asked, follow
from tunesmith.tui.draft import OWN, Draft
from tunesmith.tui.texts import load

GOOD = {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]}
LANGUAGES = ("en", "zh")


def draft(file: Path | str, **more: object) -> Draft:
    made = Draft(data=OWN, data_file=str(file))
    for name, value in more.items():
        setattr(made, name, value)
    return made


async def followed(made: Draft, home: Path) -> list[Found]:
    return [found async for found in follow(asked(made, Home(home)))]


@pytest.fixture
def home(tmp_path: Path, starter_tokenizer_folder: Path) -> Path:
    """A home in which the starter model's tokenizer lies."""
    (tmp_path / "home" / "models").mkdir(parents=True)
    (tmp_path / "home" / "models" / "starter").symlink_to(starter_tokenizer_folder)
    return tmp_path / "home"


@pytest.mark.parametrize("code", REASONS)
def test_every_reason_reads_the_same_in_wizard_and_command(code: str) -> None:
    assert load("en")[f"data.{code}"] == REASONS[code]


def test_every_finding_and_shape_has_a_text() -> None:
    for language in LANGUAGES:
        texts = load(language)
        assert [code for code in FINDINGS if f"data.finding_{code}" not in texts] == []
        assert [key for key in cards() if not {f"data.shape_{key}", f"data.why_{key}"} <= texts.keys()] == []


async def test_every_row_is_read_kept_or_named(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text("\n".join([json.dumps(GOOD), "broken", '{"messages": []}', json.dumps(GOOD)]))
    *_, last = await followed(draft(file), tmp_path)
    report = last.report
    assert (report.rows_read, report.rows_kept, report.rows_rejected) == (4, 2, 2)
    assert [row.line for row in report.rejected] == [2, 3]
    assert report.duplicates == 1 and report.finished
    assert [row.where for row in last.preview] == [f"{file}:1", f"{file}:4"]


async def test_without_the_model_there_are_rows_but_no_tokens(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(json.dumps(GOOD))
    *_, last = await followed(draft(file), tmp_path)
    assert last.report.tokens is None and last.report.model is None
    (part,) = last.preview[0].parts
    assert part.tokens is None
    assert [piece.text for piece in part.pieces if piece.kind == "trained"] == ["Hello"]


async def test_with_the_model_the_preview_is_what_is_trained(tmp_path: Path, home: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(json.dumps(GOOD))
    *_, last = await followed(draft(file), home)
    assert last.report.tokens is not None and last.report.tokens.max > 5
    (part,) = last.preview[0].parts
    assert [piece.text for piece in part.pieces if piece.kind == "trained"] == ["Hello<|im_end|>"]
    assert "".join(piece.text for piece in part.pieces).endswith("assistant\nHello<|im_end|>\n")
    assert part.trained is not None and part.tokens == last.report.tokens.max


async def test_the_starter_is_checked_with_the_name_that_was_typed(home: Path) -> None:
    *_, last = await followed(Draft(persona_name="小雨", persona_maker="Ada & Co"), home)
    assert last.report.rows_read == last.report.rows_kept > 100
    assert any("小雨" in piece.text for row in last.preview for part in row.parts for piece in part.pieces)


async def test_a_folder_and_a_pattern_are_taken(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "a.jsonl").write_text(json.dumps(GOOD))
    (folder / "b.csv").write_text("question,answer\nHow?,So.\n")
    (folder / "c.csv").write_text("question,answer\nWhen?,Now.\nWho?,You.\n")
    *_, last = await followed(draft(folder / "*.csv"), tmp_path)
    assert (last.report.shape, last.report.rows_kept) == ("query_response", 3)
    *_, last = await followed(draft(folder), tmp_path)
    assert last.report.rows_read == 4


async def test_a_large_file_is_shown_while_it_is_read_and_the_screen_goes_on(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text("\n".join(json.dumps({"question": f"What is {n}?", "answer": "x" * 300}) for n in range(60_000)))
    longest, last_beat = 0.0, time.monotonic()

    async def beat() -> None:
        nonlocal longest, last_beat
        while True:
            await asyncio.sleep(0.005)
            longest, last_beat = max(longest, time.monotonic() - last_beat), time.monotonic()

    heart = asyncio.create_task(beat())
    reports = [found.report for found in await followed(draft(file), tmp_path)]
    heart.cancel()
    assert len(reports) > 2 and reports[-1].rows_read == 60_000
    assert all(report.rows_read == report.rows_kept + report.rows_rejected for report in reports)
    assert longest < 0.5, "seconds in which no key would have been heard"


async def test_leaving_ends_the_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text("\n".join(json.dumps({"question": f"What is {n}?", "answer": "x" * 300}) for n in range(60_000)))
    ended = threading.Event()
    run = data_check.run

    def told(*arguments: object) -> None:
        run(*arguments)  # type: ignore[arg-type]
        ended.set()

    monkeypatch.setattr(data_check, "run", told)
    async with aclosing(follow(asked(draft(file), Home(tmp_path)))) as reports:  # type: ignore[type-var]
        found = await anext(reports)
    assert not found.report.finished
    assert await asyncio.to_thread(ended.wait, 10)


@pytest.mark.parametrize("name", ["none.jsonl", "*.parquet"])
async def test_what_is_not_there_is_an_error_with_a_next_step(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError) as error:
        await followed(draft(tmp_path / name), tmp_path)
    assert error.value.hint


def test_a_wrong_value_of_the_recipe_does_not_stop_the_check(tmp_path: Path) -> None:
    typed = {"training.max_length": "many", "data.over_long": "drop"}
    question = asked(draft("rows.jsonl", typed=typed), Home(tmp_path))
    assert (question.max_length, question.over_long) == (None, "drop")
