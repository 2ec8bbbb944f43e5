"""Fixes write a new file that says the same, without what was to go, and account for every row."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tunesmith.recipes.data import shapes
from tunesmith.recipes.data.checking import fixes
from tunesmith.recipes.data.checking.check import Options, check
from tunesmith.recipes.data.checking.report import Fixed
from tunesmith.recipes.data.duplicates import content_hash
from tunesmith.recipes.data.files import sources
from tunesmith.recipes.data.parsing.recognition import recognise, sample
from tunesmith.recipes.data.rows import RawRow
from tunesmith.recipes.errors import DataError

Row = dict[str, Any]


def chat(question: str, answer: str, **more: Any) -> Row:
    messages = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return {"messages": messages, **more}


def written(path: Path, *rows: Row | str) -> str:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows), "utf-8")
    return str(path)


def fixed(file: str, output: Path, *wanted: str, **options: Any) -> tuple[Fixed, list[Row]]:
    (*_, report) = check(Options(files=(file,), fixes=wanted, output=str(output), processes=1, **options))
    done = report.fixed
    assert done is not None
    rows = [json.loads(line) for line in output.read_text("utf-8").splitlines()]
    assert done.rows_read == report.rows_read == done.rows_written + sum(done.left_out.values())
    assert done.rows_written == len(rows)
    return done, rows


def test_copies_and_unusable_rows_are_left_out_and_the_rest_stays_as_it_was(tmp_path: Path) -> None:
    first, other = chat("Hi", "Hello", id=1), chat("Bye", "Ciao é", id=3)
    file = written(tmp_path / "a.jsonl", first, chat("Hi", "Hello", id=2), "{", other, chat("Hi", ""))
    done, rows = fixed(file, tmp_path / "clean.jsonl", "dedup")
    assert rows == [first, other]
    assert done.left_out == {"duplicate": 1, "not_json": 1, "no_content": 1}
    assert done.rows_changed == 0


def test_mapping_writes_the_columns_of_the_shape(tmp_path: Path) -> None:
    file = written(tmp_path / "a.jsonl", {"q": "Hi", "reply": "Hello", "source": "web"})
    _, rows = fixed(file, tmp_path / "clean.jsonl", "map", mapping={"q": "query", "reply": "response"})
    assert rows == [chat("Hi", "Hello", source="web")]


def test_exchanges_that_lack_a_side_go_and_the_rest_of_the_conversation_stays(tmp_path: Path) -> None:
    turns = [("system", " "), ("user", "Hi"), ("assistant", "Hello"), ("user", "And?"), ("assistant", ""),
             ("user", "Bye"), ("assistant", "Ciao")]  # fmt: skip
    messages = [{"role": role, "content": text} for role, text in turns]
    lacking = (chat("", "Hello"), chat("Hi", " "))
    file = written(tmp_path / "a.jsonl", {"messages": messages}, chat("Hi", "Hello"), *lacking)
    done, rows = fixed(file, tmp_path / "clean.jsonl", "strip-empty")
    assert [turn["content"] for turn in rows[0]["messages"]] == ["Hi", "Hello", "Bye", "Ciao"]
    assert rows[1:] == [chat("Hi", "Hello")]
    assert (done.rows_changed, done.left_out) == (1, {"no_messages": 2})


def test_sharegpt_turns_are_stripped_as_well(tmp_path: Path) -> None:
    turns = [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}, {"from": "human", "value": "And?"},
             {"from": "gpt", "value": ""}]  # fmt: skip
    _, rows = fixed(written(tmp_path / "a.jsonl", {"conversations": turns}), tmp_path / "c.jsonl", "strip-empty", "map")
    assert rows == [chat("Hi", "Hello")]


def test_a_turn_that_calls_a_tool_is_not_empty() -> None:
    calls = [{"type": "function", "function": {"name": "clock", "arguments": {}}}]
    turns: list[Row] = [
        {"role": "user", "content": "Time?"},
        {"role": "assistant", "content": None, "tool_calls": calls},
        {"role": "tool", "content": ""},
        {"role": "assistant", "content": "Noon"},
    ]
    assert fixes.filled_turns(turns) == turns


EXAMPLES = [pytest.param(card.key, json.loads(card.example), id=card.key) for card in shapes.cards().values()]


def test_the_examples_of_all_shapes_are_tried() -> None:
    assert len(EXAMPLES) >= 11


@pytest.mark.parametrize(("shape", "row"), EXAMPLES)
def test_a_canonical_row_says_what_the_row_said(tmp_path: Path, shape: str, row: Row) -> None:
    before = sample(RawRow(str(tmp_path / "a.jsonl"), 1, row), shape)
    value = json.loads(json.dumps(fixes.canonical(before, tmp_path)))
    again = recognise([value])
    after = sample(RawRow(str(tmp_path / "b.jsonl"), 9, value), again.shape)
    assert content_hash(after) == content_hash(before)
    assert after.columns == before.columns
    assert again.shape == shape or (before.parts[0].name, again.shape) == ("conversation", "messages")


def test_a_fixed_file_needs_no_more_fixing(tmp_path: Path) -> None:
    good, other_shape = chat("Hi", "Hello"), {"conversations": [{"from": "x"}]}
    rows: list[Row | str] = [good, good, "{", chat("", ""), other_shape]
    wanted = ("dedup", "map", "strip-empty")
    fixed(written(tmp_path / "a.jsonl", *rows), tmp_path / "once.jsonl", *wanted)
    done, _ = fixed(str(tmp_path / "once.jsonl"), tmp_path / "twice.jsonl", *wanted)
    assert done.rows_changed == 0 and done.left_out == {}
    assert (tmp_path / "once.jsonl").read_bytes() == (tmp_path / "twice.jsonl").read_bytes()


def test_paths_of_pictures_lead_to_the_same_files_from_another_folder(tmp_path: Path) -> None:
    data, elsewhere = tmp_path / "data", tmp_path / "elsewhere"
    data.mkdir()
    elsewhere.mkdir()
    row = chat("<image>What is it?", "A dot", images=["dot.png"])
    found = sample(RawRow(str(data / "a.jsonl"), 1, row), "messages")
    assert fixes.canonical(found, elsewhere)["images"] == ["../data/dot.png"]
    assert fixes.canonical(found, data)["images"] == ["dot.png"]
    with pytest.raises(DataError, match="relative to its folder"):
        fixes.as_it_was(RawRow(found.file, 1, row), found, elsewhere)


@pytest.mark.parametrize(
    ("wanted", "output", "words"),
    [(("dedupe",), "c.jsonl", "no fix 'dedupe'"), (("dedup",), None, "writes a new file"), ((), "c.jsonl", "nothing"),
     (("dedup",), "a.jsonl", "one of the files"), (("dedup",), "mine.jsonl", "exists already"),
     (("dedup",), "c.csv", "does not end in .jsonl"), (("dedup",), "missing/c.jsonl", "no folder")],
)  # fmt: skip
def test_what_cannot_be_written_is_refused_before_any_row_is_read(
    tmp_path: Path, wanted: tuple[str, ...], output: str | None, words: str
) -> None:
    file = written(tmp_path / "a.jsonl", chat("Hi", "Hello"))
    written(tmp_path / "mine.jsonl", {"dear": "diary"})
    target = None if output is None else str(tmp_path / output)
    with pytest.raises(DataError, match=words):
        fixes.check_options(wanted, target, sources.find([file]))
    assert json.loads((tmp_path / "mine.jsonl").read_text("utf-8")) == {"dear": "diary"}


def test_a_link_to_an_input_is_that_input(tmp_path: Path) -> None:
    file = written(tmp_path / "a.jsonl", chat("Hi", "Hello"))
    (tmp_path / "link.jsonl").symlink_to(file)
    with pytest.raises(DataError, match="one of the files"):
        fixes.check_options(("dedup",), str(tmp_path / "link.jsonl"), sources.find([file]))


def test_a_clean_file_is_not_written_into_a_folder_that_is_checked(tmp_path: Path) -> None:
    written(tmp_path / "a.jsonl", chat("Hi", "Hello"))
    options = Options(files=(str(tmp_path),), fixes=("dedup",), output=str(tmp_path / "clean.jsonl"))
    with pytest.raises(DataError, match="would be read with it"):
        list(check(options))
