"""Preparing rows for training: one bad line costs one row, and every row is accounted for."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tunesmith.daemon.api import events as e
from tunesmith.daemon.worker.context import Context
from tunesmith.daemon.worker.data import prepare
from tunesmith.recipes.errors import DataError

MakeContext = Callable[..., Context]
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


def parts_of(tmp_path: Path, tiny_model: Path, content: bytes | None, **data: Any) -> dict[str, Any]:
    if content is not None:
        (tmp_path / "rows.jsonl").write_bytes(content)
    return {"model": {"source": str(tiny_model)}, "data": {"train": "rows.jsonl", **data}}


def trained_sequences(context: Context) -> list[list[int]]:
    """Token ids of everything that the first epoch sees."""
    feed = context.prepared.feed
    return [feed.sequence(*place)[0].tolist() for batch in feed.batches(0) for place in batch]


def checked(context: Context, told: Told) -> list[e.DataChecked]:
    return [event for event in told(context) if isinstance(event, e.DataChecked)]


@pytest.mark.parametrize(("count", "held_out"), [(200, 10), (40, 8), (10, 5), (2, 1)])
def test_a_share_within_bounds_is_held_out_and_a_seed_repeats_it(
    count: int, held_out: int, tiny_model: Path, tmp_path: Path, make_context: MakeContext
) -> None:
    parts = parts_of(tmp_path, tiny_model, b"\n".join(good(index) for index in range(count)))
    apart = []
    for seed in (1, 1, 2):
        context = make_context(**parts, training={"seed": seed})
        prepare.run(context)
        apart.append({row.question for row in context.prepared.questions})
        assert (len(trained_sequences(context)), len(context.prepared.questions)) == (count - held_out, held_out)
        assert len(context.prepared.scored) == held_out
    assert apart[0] == apart[1]
    assert count < 10 or apart[0] != apart[2]


def test_a_conversation_that_stands_twice_is_never_on_both_sides(
    tiny_model: Path, tmp_path: Path, make_context: MakeContext
) -> None:
    content = b"\n".join(good(index % 20) for index in range(60))
    context = make_context(**parts_of(tmp_path, tiny_model, content, held_out_fraction=0.4))
    prepare.run(context)
    tokenizer = context.tokenizer
    trained = " ".join(tokenizer.decode(ids) for ids in trained_sequences(context))
    assert len(context.prepared.questions) == 8
    assert not [row.question for row in context.prepared.questions if f"{row.question}<|im_end|>" in trained]
    assert len(trained_sequences(context)) == 60 - 8 * 3


def test_held_out_answers_may_be_the_last_message_or_a_field(
    tiny_model: Path, tmp_path: Path, make_context: MakeContext, told: Told
) -> None:
    with_field = b'{"messages": [{"role": "user", "content": "q"}], "answer": "a", "accept": ["a"]}'
    (tmp_path / "test.jsonl").write_bytes(b"\n".join([good(1), with_field, b"{}"]))
    context = make_context(**parts_of(tmp_path, tiny_model, good(1) + b"\n" + good(2), held_out="test.jsonl"))
    prepare.run(context)
    assert [(row.question, row.answer, row.accept) for row in context.prepared.questions] == [
        ("Question 1", "Answer 1", ()),
        ("q", "a", ("a",)),
    ]
    assert len(context.prepared.scored) == 2
    assert (checked(context, told)[0].rows_read, checked(context, told)[0].rows_rejected) == (3, 1)
    assert any(
        isinstance(event, e.Notice) and "1 held-out questions are in the training rows" in event.text
        for event in told(context)
    )


def test_prepare_accounts_for_every_row(
    tiny_model: Path, tmp_path: Path, make_context: MakeContext, told: Told
) -> None:
    lines = [good(index) for index in range(30)]
    (tmp_path / "rows.jsonl").write_bytes(b"\n".join([*lines[:10], *BROKEN, *lines[10:]]))
    context = make_context(model={"source": str(tiny_model)}, data={"train": "rows.jsonl"})
    prepare.run(context)
    (account,) = checked(context, told)
    assert (account.rows_read, account.rows_kept, account.rows_rejected) == (39, 30, 9)
    assert (len(trained_sequences(context)), len(context.prepared.questions)) == (22, 8)
    assert len((context.work / "rejected.jsonl").read_text().splitlines()) == 9
    assert any(isinstance(event, e.Notice) and "rows.jsonl:11: not valid JSON" in event.text for event in told(context))


@pytest.mark.parametrize(
    ("content", "message"), [(b"", "no usable row"), (BROKEN[0], "no usable row"), (None, "no|No")]
)
def test_nothing_usable_is_refused_with_a_way_out(
    content: bytes | None, message: str, tiny_model: Path, tmp_path: Path, make_context: MakeContext
) -> None:
    with pytest.raises(DataError, match=message) as refused:
        prepare.run(make_context(**parts_of(tmp_path, tiny_model, content)))
    assert refused.value.hint


@pytest.mark.parametrize(("policy", "kept"), [("drop", 3), ("cut_right", 4)])
def test_a_long_row_is_dropped_or_cut_as_the_recipe_says(
    policy: str, kept: int, tiny_model: Path, tmp_path: Path, make_context: MakeContext, told: Told
) -> None:
    long = {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "word " * 200}]}
    content = b"\n".join([*(good(index) for index in range(3)), json.dumps(long).encode()])
    parts = parts_of(tmp_path, tiny_model, content, over_long=policy, held_out="rows.jsonl")
    context = make_context(**parts, training={"max_length": 80})
    prepare.run(context)
    assert len(trained_sequences(context)) == kept
    assert max(map(len, trained_sequences(context))) <= 80
    account = checked(context, told)[-1]
    assert account.rows_read == account.rows_kept + account.rows_rejected == 4


def test_a_long_row_is_an_error_by_default_and_says_which(
    tiny_model: Path, tmp_path: Path, make_context: MakeContext
) -> None:
    with pytest.raises(DataError, match=r"rows\.jsonl:1: longer than 8 tokens \(\d+\)"):
        prepare.run(make_context(**parts_of(tmp_path, tiny_model, good(1)), training={"max_length": 8}))


def test_several_sources_are_mixed_by_weight(tiny_model: Path, tmp_path: Path, make_context: MakeContext) -> None:
    (tmp_path / "a.jsonl").write_bytes(b"\n".join(good(index) for index in range(20)))
    (tmp_path / "b.csv").write_text("question,answer\nWhy?,Because.\nHow?,So.\n")
    (tmp_path / "test.jsonl").write_bytes(good(99))
    train = ["a.jsonl", {"path": "b.csv", "weight": 3}]
    context = make_context(model={"source": str(tiny_model)}, data={"train": train, "held_out": "test.jsonl"})
    prepare.run(context)
    texts = [context.tokenizer.decode(ids) for ids in trained_sequences(context)]
    assert len(texts) == 26
    assert sum("Because." in text for text in texts) == 3


def test_a_second_run_takes_what_the_first_prepared(
    tiny_model: Path, tmp_path: Path, make_context: MakeContext
) -> None:
    parts = parts_of(tmp_path, tiny_model, b"\n".join(good(index) for index in range(20)))
    runs = [make_context(**parts), make_context(**parts), make_context(**parts, training={"max_length": 500})]
    for context in runs:
        prepare.run(context)
    assert [context.prepared.sources[0].cached for context in runs] == [False, True, False]
    assert trained_sequences(runs[0]) == trained_sequences(runs[1])
    (tmp_path / "rows.jsonl").write_bytes(b"\n".join(good(index) for index in range(21)))
    changed = make_context(**parts)
    prepare.run(changed)
    assert not changed.prepared.sources[0].cached


def test_training_can_begin_while_the_rest_is_prepared(
    tiny_model: Path, tmp_path: Path, make_context: MakeContext, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepare, "AT_ONCE_BYTES", 1000)
    monkeypatch.setattr(prepare, "WINDOW", 100)
    rows = 30_000
    lines = [good(index) for index in range(rows)]
    lines[20_000] = b"{"
    context = make_context(**parts_of(tmp_path, tiny_model, b"\n".join(lines)))
    prepare.run(context)
    prepared = context.prepared
    assert not checked(context, told)
    assert prepared.streaming
    bound = prepared.feed.batches_in(0)
    sequences = trained_sequences(context)
    assert prepared.look() and not prepared.look()
    (account,) = checked(context, told)
    assert (account.rows_read, account.rows_kept, account.rows_rejected) == (rows, rows - 1, 1)
    assert len(sequences) + len(prepared.scored) == rows - 1
    assert 300 < len(prepared.scored) < 700
    assert prepared.feed.batches_in(0) == -(-len(sequences) // 8) <= bound


def test_rows_of_another_method_are_refused_with_the_reason(
    tiny_model: Path, tmp_path: Path, make_context: MakeContext
) -> None:
    content = b'{"prompt": "p", "chosen": "c", "rejected": "r"}\n' * 3
    with pytest.raises(DataError, match="preference"):
        prepare.run(make_context(**parts_of(tmp_path, tiny_model, content)))


def test_plain_text_is_trained_whole_and_may_be_split(
    tiny_model: Path, tmp_path: Path, make_context: MakeContext
) -> None:
    lines = [json.dumps({"text": f"{index} " + "word " * 100}).encode() for index in range(20)]
    parts = parts_of(tmp_path, tiny_model, b"\n".join(lines), over_long="split")
    context = make_context(**parts, training={"max_length": 64})
    prepare.run(context)
    assert len(trained_sequences(context)) == 12 * 2
    assert not context.prepared.questions
    assert len(context.prepared.scored) == 8
