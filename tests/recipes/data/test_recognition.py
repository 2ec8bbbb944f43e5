"""The shape of a file is told from its rows, explained, and asked for when it cannot be told."""

from __future__ import annotations

from typing import Any

import pytest

from tunesmith.recipes.data.parsing import recognition
from tunesmith.recipes.data.reasons import BadRow
from tunesmith.recipes.data.rows import RawRow
from tunesmith.recipes.errors import DataError

ASK = {"role": "user", "content": "Hi"}
ANSWER = {"role": "assistant", "content": "Hello!"}
TURNS = [ASK, ANSWER]

# rows as well-known public sets have them, and the shape they are meant as
KNOWN: list[tuple[str, dict[str, Any]]] = [
    ("messages", {"messages": TURNS}),
    ("messages", {"prompt": "Hi", "prompt_id": "a", "messages": TURNS}),
    ("messages", {"source": "x", "problem": "p", "solution": "s", "messages": TURNS, "answer": "4"}),
    ("messages", {"conversations": TURNS, "system": None, "label": None}),
    ("messages", {"messages": [{**message, "tool_calls": None} for message in TURNS], "tools": None}),
    ("sharegpt", {"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello!"}]}),
    ("sharegpt", {"id": 1, "conversations": [{"from": "system", "value": "s", "weight": None}], "system_prompt": None}),
    ("alpaca", {"instruction": "a", "input": "", "output": "b"}),
    ("alpaca", {"instruction": "a", "input": "", "output": "b", "text": "Below is an instruction"}),
    ("alpaca", {"instruction": "a", "context": "c", "response": "b", "category": "open_qa"}),
    ("alpaca", {"instruction": "a", "output": "b"}),
    ("query_response", {"instruction": "a", "response": "b"}),
    ("query_response", {"question": "a", "answer": "b"}),
    ("query_response", {"system_prompt": "", "question": "a", "response": "b"}),
    ("query_response", {"input": "a", "output": "b"}),
    ("query_response", {"prompt": "a", "response": "b"}),
    ("query_response", {"image": "a.png", "response": "b"}),
    ("prompt_completion", {"prompt": "a", "completion": "b"}),
    ("prompt_completion", {"prompt": [ASK], "completion": [ANSWER]}),
    ("text", {"text": "a"}),
    ("text", {"text": "a", "id": "x", "url": "y", "language_score": 0.9, "token_count": 3}),
    ("preference", {"prompt": "a", "chosen": "b", "rejected": "c"}),
    ("preference", {"system": "", "question": "a", "chosen": "b", "rejected": "c"}),
    ("preference", {"prompt": "Hi", "chosen": TURNS, "rejected": TURNS, "messages": TURNS, "score_chosen": 5.0}),
    ("preference", {"chosen": TURNS, "rejected": TURNS}),
    ("preference", {"messages": TURNS, "rejected_response": "c"}),
    ("kto", {"prompt": "a", "completion": "b", "label": True}),
    ("kto", {"prompt": [ASK], "completion": [ANSWER], "label": False}),
    ("kto", {"messages": TURNS, "label": False}),
    ("reward_prompt", {"messages": [ASK], "answer": "42"}),
    ("reward_prompt", {"data_source": "gsm8k", "prompt": [ASK], "reward_model": {"ground_truth": "42"}}),
    ("reward_prompt", {"prompt": "a"}),
    ("classification", {"text": "a", "label": 1}),
    ("classification", {"sentence": "a", "label": 1, "idx": 0}),
    ("classification", {"text": "a", "labels": ["x", "y"]}),
    ("classification", {"messages": TURNS, "label": 3}),
    ("classification", {"messages": [ASK], "label": "spam"}),
    ("embedding", {"anchor": "a", "positive": "b"}),
    ("embedding", {"query": "a", "positives": ["b"], "negatives": ["c"]}),
    ("embedding", {"query": "a", "pos": ["b"], "neg": ["c"], "prompt": "Find passages", "type": "normal"}),
    ("embedding", {"query_id": "1", "query": "a", "positive_passages": [{"docid": "1", "text": "b"}]}),
]


@pytest.mark.parametrize(("shape", "row"), KNOWN)
def test_rows_of_well_known_sets_are_recognised(shape: str, row: dict[str, Any]) -> None:
    found = recognition.recognise([row])
    assert found.shape == shape
    assert any(column in found.why for column in row)


def test_the_reason_names_the_columns_and_the_unused_ones_are_told() -> None:
    found = recognition.recognise([{"question": "a", "answer": "b", "level": 3}])
    assert found.why == "question as query and answer as response"
    assert found.unused == ("level",)


def test_most_rows_decide_and_the_others_are_named() -> None:
    rows = [{"messages": TURNS}] * 3 + [{"text": "a"}] + [{"messages": None}, {}]
    found = recognition.recognise(rows)
    assert (found.shape, found.others) == ("messages", ("text",))


def test_messages_that_sometimes_end_with_the_user_are_messages() -> None:
    assert recognition.recognise([{"messages": TURNS}, {"messages": [*TURNS, ASK]}]).shape == "messages"


def test_messages_that_all_end_with_the_user_are_prompts() -> None:
    assert recognition.recognise([{"messages": [ASK, ANSWER, ASK]}] * 2).shape == "reward_prompt"


def test_a_picture_with_a_text_is_asked_about() -> None:
    rows = [{"image": "a.png", "text": "A cat."}]
    with pytest.raises(DataError) as error:
        recognition.recognise(rows)
    assert "image and text" in error.value.message
    assert "--map text=response" in error.value.hint
    mapping = {"text": "response"}
    found = recognition.recognise(rows, mapping)
    assert (found.shape, found.mapping) == ("query_response", mapping)
    sample = recognition.sample(RawRow("f", 1, rows[0]), found.shape, found.mapping)
    assert sample.parts[0].messages == [
        {"role": "user", "content": "<image>"},
        {"role": "assistant", "content": "A cat."},
    ]
    assert sample.media[0].source == "a.png"


@pytest.mark.parametrize(
    ("row", "maps"),
    [
        ({"q": "a", "a": "b"}, ["--map q=query", "--map a=response"]),
        ({"kind": "x", "input": "a", "target": "b"}, ["--map input=query", "--map target=response"]),
        ({"level": 3, "problem": "a", "solution": "b"}, ["--map problem=query", "--map solution=response"]),
        ({"document": "a", "summary": "b"}, ["--map document=query", "--map summary=response"]),
        ({"question": "a", "context": "c", "answer": "b"}, ["--map question=instruction", "--map answer=output"]),
        ({"dialog": TURNS}, ["--map dialog=messages"]),
        ({"body": "a"}, ["--map body=text"]),
        ({"Question": "a", "Answer": "b"}, ["--map Question=query", "--map Answer=response"]),
        ({"ask": "a", "chosen": "b", "rejected": "c"}, ["--map ask=prompt"]),
        ({"text": "a", "summary": "b"}, ["--map text=query", "--map summary=response"]),
    ],
)
def test_unknown_columns_get_the_mapping_to_try_and_it_works(row: dict[str, Any], maps: list[str]) -> None:
    with pytest.raises(DataError) as error:
        recognition.recognise([row])
    for one in maps:
        assert one in error.value.hint
    assert next(iter(row)) in error.value.message
    mapping = dict(one.removeprefix("--map ").split("=") for one in maps)
    found = recognition.recognise([row], mapping)
    recognition.sample(RawRow("f", 1, row), found.shape, found.mapping)


def test_rows_without_any_text_say_what_shapes_there_are() -> None:
    with pytest.raises(DataError, match="id") as error:
        recognition.recognise([{"id": 3}])
    assert "messages" in error.value.hint


def test_a_mapping_that_is_not_enough_says_what_is_missing() -> None:
    rows = [{"image": "a.png", "text": "A cat."}]
    with pytest.raises(DataError, match=r"image, query|query, image") as error:
        recognition.recognise(rows, {"text": "query"})
    assert "no answer" in error.value.hint


def test_a_preference_without_its_prompt_says_what_to_give() -> None:
    with pytest.raises(DataError) as error:
        recognition.recognise([{"chosen": "Human: a Assistant: b", "rejected": "Human: a Assistant: c"}])
    assert "a column prompt" in error.value.hint


def test_two_shapes_that_fit_equally_are_asked_about() -> None:
    with pytest.raises(DataError, match="several shapes") as error:
        recognition.recognise([{"messages": TURNS}, {"text": "a"}])
    assert "--shape" in error.value.hint


def test_the_shape_that_is_asked_for_is_taken() -> None:
    rows = [{"question": "6 x 7?", "answer": "42"}]
    assert recognition.recognise(rows, shape="reward_prompt").shape == "reward_prompt"
    with pytest.raises(DataError, match="no shape called") as error:
        recognition.recognise(rows, shape="mesages")
    assert "messages" in error.value.hint


def test_a_mapping_names_columns_that_exist_and_each_field_once() -> None:
    rows = [{"q": "a", "a": "b"}]
    with pytest.raises(DataError, match="No row has a column"):
        recognition.recognise(rows, {"Q1": "query"})
    with pytest.raises(DataError, match="Two columns"):
        recognition.recognise(rows, {"q": "query", "a": "query"})


def test_a_column_whose_name_is_taken_by_a_mapped_one_is_kept() -> None:
    row = {"question": "a", "response": "old", "better": "new"}
    sample = recognition.sample(RawRow("f", 1, row), "query_response", {"better": "response"})
    assert sample.parts[0].messages is not None
    assert sample.parts[0].messages[1]["content"] == "new"
    assert sample.columns == {"response (as it was)": "old"}


def test_no_rows_have_no_shape() -> None:
    with pytest.raises(DataError, match="no row"):
        recognition.recognise([])


def test_a_row_of_another_shape_says_which() -> None:
    with pytest.raises(BadRow, match="of the shape alpaca") as error:
        recognition.sample(RawRow("f", 1, {"instruction": "a", "input": "", "output": "b"}), "messages")
    assert error.value.code == "not_shape"


def test_a_broken_row_of_the_right_shape_says_what_is_broken() -> None:
    with pytest.raises(BadRow) as error:
        recognition.sample(RawRow("f", 1, {"messages": [ASK, {"role": "assistant", "content": ""}]}), "messages")
    assert error.value.code == "no_content"
