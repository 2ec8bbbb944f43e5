"""A preview shows the exact text and tokens of a row, cut where the learned tokens begin and end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tunesmith.recipes.data.checking.preview import Preview, Run, preview, runs_of
from tunesmith.recipes.data.rendering.render import render
from tunesmith.recipes.data.rendering.tokenizer import Tokenizer
from tunesmith.recipes.data.rows import Part
from tunesmith.recipes.errors import DataError, ModelError


def chat(question: str, answer: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]}


def shown(folder: Path, model: Path, *rows: object, **options: Any) -> Preview:
    file = folder / "a.jsonl"
    file.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows), "utf-8")
    return preview(str(file), str(model), **options)


def test_the_tokens_are_those_of_training(tmp_path: Path, starter_tokenizer_folder: Path) -> None:
    row = chat("Wie geht's? 你好 🙂", "Gut, danke 🙂🙂 – 好")
    found = shown(tmp_path, starter_tokenizer_folder, row)
    part = found.parts[0]
    trained_on = render(Part("conversation", row["messages"]), None, Tokenizer.load(starter_tokenizer_folder))
    assert (part.text, part.ids) == (trained_on.text, trained_on.ids.tolist())
    assert part.trained == trained_on.trained.tolist()
    assert len(part.tokens) == len(part.ids)
    assert "".join(run.text for run in part.runs) == part.text
    assert [run.text for run in part.runs if run.trained] == ["Gut, danke 🙂🙂 – 好<|im_end|>"]


def test_a_plain_text_is_learned_whole_with_its_end(tmp_path: Path, starter_tokenizer_folder: Path) -> None:
    part = shown(tmp_path, starter_tokenizer_folder, {"text": "Once upon a time"}).parts[0]
    assert all(part.trained) and len(part.tokens) == len(part.ids)
    assert "".join(part.tokens) == part.text
    assert part.text.startswith("Once upon a time") and part.text != "Once upon a time"


def test_every_part_of_a_preference_row_is_shown(tmp_path: Path, starter_tokenizer_folder: Path) -> None:
    row = {"prompt": "Hi", "chosen": "Hello", "rejected": "Go away"}
    found = shown(tmp_path, starter_tokenizer_folder, row)
    assert [part.name for part in found.parts] == ["chosen", "rejected"]
    assert [run.text for part in found.parts for run in part.runs if run.trained] == [
        "Hello<|im_end|>", "Go away<|im_end|>",
    ]  # fmt: skip


def test_the_first_usable_row_is_shown_unless_one_is_asked_for(tmp_path: Path, starter_tokenizer_folder: Path) -> None:
    rows = ("{broken", chat("Hi", "Hello"), chat("Bye", "Ciao"))
    assert shown(tmp_path, starter_tokenizer_folder, *rows).line == 2
    assert "Ciao" in shown(tmp_path, starter_tokenizer_folder, *rows, row=3).parts[0].text
    with pytest.raises(DataError, match="cannot be used: not valid JSON"):
        shown(tmp_path, starter_tokenizer_folder, *rows, row=1)
    with pytest.raises(DataError, match="no row 9"):
        shown(tmp_path, starter_tokenizer_folder, *rows, row=9)


def test_files_without_a_usable_row_say_why(tmp_path: Path, starter_tokenizer_folder: Path) -> None:
    with pytest.raises(DataError, match=r"No row can be used; the first: .*a.jsonl:1: message 2"):
        shown(tmp_path, starter_tokenizer_folder, chat("Hi", ""), "{broken")
    with pytest.raises(DataError, match="no shape that is known"):
        shown(tmp_path, starter_tokenizer_folder, {"a": 1})
    with pytest.raises(DataError, match="no rows"):
        shown(tmp_path, starter_tokenizer_folder)
    with pytest.raises(ModelError, match="tokenizer"):
        shown(tmp_path, tmp_path, chat("Hi", "Hello"))


def test_runs_make_up_the_text_whatever_lies_between_tokens() -> None:
    assert runs_of("a  bc", [0, 3, 4], [False, True, True]) == [Run("a  ", False), Run("bc", True)]
    assert runs_of("abc", [], []) == [Run("abc", False)]
    assert runs_of("", [], []) == []
