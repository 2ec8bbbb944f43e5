"""Reading rows: one bad line costs one row, and every row is accounted for."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tunesmith.daemon.api import events as e
from tunesmith.daemon.worker.context import Context
from tunesmith.daemon.worker.data import prepare
from tunesmith.daemon.worker.data.split import split
from tunesmith.recipes.data.reading import held_out_row, read, training_row
from tunesmith.recipes.data.rows import TrainingRow
from tunesmith.recipes.errors import DataError

Told = Callable[[Context], list[e.Event]]
BROKEN = (
    b'{"messages": [',
    b"\xff\xfe",
    b"[1]",
    b'{"text": "no messages"}',
    b'{"messages": []}',
    b'{"messages": [{"role": "robot", "content": "x"}]}',
    b'{"messages": [{"role": "user", "content": "x"}]}',
    b'{"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": " "}]}',
    b'{"messages": [{"role": "user", "content": null}, {"role": "assistant", "content": "y"}]}',
)


def good(index: int) -> bytes:
    messages = [{"role": "user", "content": f"Question {index}"}, {"role": "assistant", "content": f"Answer {index}"}]
    return json.dumps({"messages": messages}).encode()


def test_every_broken_line_is_rejected_with_its_place_and_the_others_are_kept(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_bytes(b"\xef\xbb\xbf" + b"\r\n".join([good(1), *BROKEN, b"", good(2)]))
    rows, rejected = read(file, training_row)
    assert [row.messages[0]["content"] for row in rows] == ["Question 1", "Question 2"]
    assert [row.where for row in rejected] == [f"rows.jsonl:{number}" for number in range(2, 2 + len(BROKEN))]
    assert all(row.reason for row in rejected)


def test_a_held_out_answer_may_be_the_last_message(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_bytes(
        good(1) + b"\n" + b'{"messages": [{"role": "user", "content": "q"}], "answer": "a", "accept": ["a"]}'
    )
    rows, rejected = read(file, held_out_row)
    assert not rejected
    assert [(row.question, row.answer, row.accept) for row in rows] == [
        ("Question 1", "Answer 1", ()),
        ("q", "a", ("a",)),
    ]


@pytest.mark.parametrize(("count", "held_out"), [(200, 10), (40, 8), (10, 5), (1, 0), (20_000, 500)])
def test_a_split_holds_out_a_share_within_bounds_and_repeats_itself(count: int, held_out: int) -> None:
    rows = [TrainingRow(json.loads(good(index))["messages"]) for index in range(count)]
    kept, apart = split(rows, 0.05, seed=1)
    assert (len(kept), len(apart)) == (count - held_out, held_out)
    assert split(rows, 0.05, seed=1) == (kept, apart)


def test_a_conversation_that_stands_twice_is_never_on_both_sides() -> None:
    rows = [TrainingRow(json.loads(good(index % 20))["messages"]) for index in range(60)]
    kept, apart = split(rows, 0.4, seed=0)
    assert not {row.messages[0]["content"] for row in kept} & {row.question for row in apart}
    assert len(apart) == 8


def test_prepare_accounts_for_every_row(
    tiny_model: Path, tmp_path: Path, make_context: Callable[..., Context], told: Told
) -> None:
    lines = [good(index) for index in range(30)]
    (tmp_path / "rows.jsonl").write_bytes(b"\n".join([*lines[:10], *BROKEN, *lines[10:]]))
    context = make_context(model={"source": str(tiny_model)}, data={"train": "rows.jsonl"})
    prepare.run(context)
    checked = next(event for event in told(context) if isinstance(event, e.DataChecked))
    assert (checked.rows_read, checked.rows_kept, checked.rows_rejected) == (39, 30, 9)
    assert (len(context.rows), len(context.held_out)) == (22, 8)
    assert len((context.work / "rejected.jsonl").read_text().splitlines()) == 9
    assert any(isinstance(event, e.Notice) and "rows.jsonl:11: not valid JSON" in event.text for event in told(context))


def usable(tmp_path: Path, tiny_model: Path, content: bytes | None, **data: Any) -> dict[str, Any]:
    if content is not None:
        (tmp_path / "rows.jsonl").write_bytes(content)
    return {"model": {"source": str(tiny_model)}, "data": {"train": "rows.jsonl", **data}}


@pytest.mark.parametrize(
    ("content", "message"), [(b"", "no usable row"), (BROKEN[0], "no usable row"), (None, "Cannot read")]
)
def test_nothing_usable_is_refused_with_a_way_out(
    content: bytes | None, message: str, tiny_model: Path, tmp_path: Path, make_context: Callable[..., Context]
) -> None:
    with pytest.raises(DataError, match=message) as refused:
        prepare.run(make_context(**usable(tmp_path, tiny_model, content)))
    assert refused.value.hint


@pytest.mark.parametrize(("policy", "kept"), [("drop", 3), ("cut_right", 4)])
def test_a_long_row_is_dropped_or_cut_as_the_recipe_says(
    policy: str, kept: int, tiny_model: Path, tmp_path: Path, make_context: Callable[..., Context], told: Told
) -> None:
    long = {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "word " * 200}]}
    content = b"\n".join([*(good(index) for index in range(3)), json.dumps(long).encode()])
    parts = usable(tmp_path, tiny_model, content, over_long=policy, held_out="rows.jsonl")
    context = make_context(**parts, training={"max_length": 80})
    prepare.run(context)
    assert len(context.rows) == kept
    assert max(len(row.input_ids) for row in context.rows) <= 80
    checked = next(event for event in told(context) if isinstance(event, e.DataChecked))
    assert checked.rows_read == checked.rows_kept + checked.rows_rejected == 4


def test_a_long_row_is_an_error_by_default_and_says_which(
    tiny_model: Path, tmp_path: Path, make_context: Callable[..., Context]
) -> None:
    with pytest.raises(DataError, match=r"rows\.jsonl:1: A row has \d+ tokens and max_length is 8"):
        prepare.run(make_context(**usable(tmp_path, tiny_model, good(1)), training={"max_length": 8}))
