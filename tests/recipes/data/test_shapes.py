"""Every shape reads its rows as a person means them, and refuses the others with the reason."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.recipes.data import shapes
from tunesmith.recipes.data.parsing import recognition
from tunesmith.recipes.data.parsing.conversation import checked
from tunesmith.recipes.data.reasons import BadRow
from tunesmith.recipes.data.rows import Message, RawRow, Sample

HI = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello!"}]


def sample(shape: str, **row: Any) -> Sample:
    return recognition.sample(RawRow("rows.jsonl", 3, row), shape)


def messages(found: Sample, part: int = 0) -> list[Message]:
    assert found.parts[part].messages is not None
    return found.parts[part].messages or []


def turns(found: Sample, part: int = 0) -> list[tuple[str, str]]:
    return [(message["role"], message["content"]) for message in messages(found, part)]


def refusal(shape: str, **row: Any) -> str:
    with pytest.raises(BadRow) as error:
        sample(shape, **row)
    return error.value.code


def test_there_are_eleven_shapes_and_each_reads_its_example() -> None:
    assert len(shapes.cards()) == 11
    for key, card in shapes.cards().items():
        row = json.loads(card.example)
        assert [other for other, known in shapes.cards().items() if known.recognise(row)] == [key]
        found = recognition.sample(RawRow("rows.jsonl", 1, row), key)
        assert found.shape == key
        assert found.parts


def test_messages_keep_roles_and_what_is_not_to_be_learned() -> None:
    row = [{"role": "system", "content": "Be kind."}, *HI, HI[0], {**HI[1], "loss": False}]
    found = sample("messages", messages=row)
    assert messages(found) == row
    assert found.where == "rows.jsonl:3"


def test_messages_keep_columns_they_do_not_read() -> None:
    assert sample("messages", messages=HI, id=7, source="web").columns == {"id": 7, "source": "web"}


def test_the_weight_of_openai_files_takes_a_turn_out() -> None:
    row = [*HI, HI[0], {**HI[1], "weight": 0}]
    assert [message.get("loss", True) for message in messages(sample("messages", messages=row))] == [True] * 3 + [False]
    assert refusal("messages", messages=[HI[0], {**HI[1], "weight": 0.5}]) == "bad_weight"


def test_fields_that_are_null_are_not_there() -> None:
    row = [{**message, "tool_calls": None, "name": None, "loss": None, "weight": None} for message in HI]
    assert messages(sample("messages", messages=row, tools=None, system=None, images=None)) == HI


def test_a_system_column_becomes_the_first_message() -> None:
    assert turns(sample("messages", messages=HI, system="Be kind."))[0] == ("system", "Be kind.")
    assert turns(sample("messages", messages=HI, system=""))[0] == ("user", "Hi")
    twice = [{"role": "system", "content": "Be brief."}, *HI]
    assert refusal("messages", messages=twice, system="Be kind.") == "two_systems"


def test_reasoning_has_one_name() -> None:
    for name in ("reasoning", "thinking", "reasoning_content"):
        found = sample("messages", messages=[HI[0], {**HI[1], name: "A greeting."}])
        assert messages(found)[1]["reasoning_content"] == "A greeting."
    both = {**HI[1], "reasoning": "One.", "thinking": "Two."}
    assert refusal("messages", messages=[HI[0], both]) == "bad_field"


def test_tool_calls_get_arguments_as_objects() -> None:
    call = {"id": "a1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}
    row = [
        HI[0],
        {"role": "assistant", "content": None, "tool_calls": [call, {"name": "now", "arguments": None}]},
        {"role": "tool", "content": "2", "tool_call_id": "a1"},
        HI[1],
    ]
    found = sample("messages", messages=row, tools='[{"name": "add", "parameters": {}}]')
    assert messages(found)[1] == {
        "role": "assistant",
        "content": "",
        "tool_calls": [
            {"type": "function", "function": {"name": "add", "arguments": {"a": 1}}, "id": "a1"},
            {"type": "function", "function": {"name": "now", "arguments": {}}},
        ],
    }
    assert messages(found)[2]["tool_call_id"] == "a1"
    assert found.tools == [{"type": "function", "function": {"name": "add", "parameters": {}}}]


@pytest.mark.parametrize("arguments", ["{", "[1]", 3, '"text"', '{"a": "\\ud800"}', "[" * 100_000])
def test_arguments_that_are_no_object_are_refused(arguments: Any) -> None:
    row = [HI[0], {"role": "assistant", "content": "", "tool_calls": [{"name": "f", "arguments": arguments}]}]
    assert refusal("messages", messages=row) == "bad_tool_calls"


@pytest.mark.parametrize("tools", ["{", "3", 3, [3], [{}], [{"name": 1}], [{"function": {"name": ""}}]])
def test_tools_that_cannot_be_read_are_refused(tools: Any) -> None:
    assert refusal("messages", messages=HI, tools=tools) == "bad_tools"


def test_content_in_parts_becomes_text_with_tags() -> None:
    parts = [
        {"type": "text", "text": "What is "},
        {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}},
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}},
        {"type": "text", "text": "?"},
    ]
    found = sample("messages", messages=[{"role": "user", "content": parts}, HI[1]])
    assert turns(found)[0] == ("user", "What is <image><audio>?")
    assert [(file.kind, file.source) for file in found.media] == [
        ("image", "https://example.org/a.png"),
        ("audio", "data:audio/mp3;base64,AAAA"),
    ]


def test_a_part_that_names_no_file_takes_it_from_the_column() -> None:
    asked = {"role": "user", "content": [{"type": "image", "text": None}, {"type": "text", "text": "What?"}]}
    assert sample("messages", messages=[asked, HI[1]], images=["a.png"]).media[0].source == "a.png"


def test_files_stand_in_the_order_of_their_tags() -> None:
    asked = {"role": "user", "content": "<audio> or <image> or <audio>"}
    found = sample("messages", messages=[asked, HI[1]], images="i.png", audios=["1.wav", {"path": "2.wav"}])
    assert [file.source for file in found.media] == ["1.wav", "i.png", "2.wav"]


@pytest.mark.parametrize(
    ("content", "columns", "code"),
    [
        ("<image>", {}, "media_count"),
        ("<image>", {"images": []}, "media_count"),
        ("<image>", {"images": ["a", "b"]}, "media_count"),
        ("none", {"images": ["a"]}, "media_count"),
        ("<video>", {"images": ["a"]}, "media_count"),
        ("<image>", {"images": [3]}, "bad_media"),
        ("<image>", {"images": ["a"], "image": "a"}, "two_columns"),
        ([{"type": "image", "image": "a"}], {"images": ["a"]}, "two_media"),
        ([{"type": "text", "text": "<image>"}, {"type": "image", "image": "a"}], {}, "media_count"),
        ([{"type": "smell", "smell": "a"}], {}, "bad_part"),
        ([3], {}, "bad_part"),
    ],
)
def test_files_and_tags_that_do_not_match_are_refused(content: Any, columns: dict[str, Any], code: str) -> None:
    assert refusal("messages", messages=[{"role": "user", "content": content}, HI[1]], **columns) == code


@pytest.mark.parametrize(
    ("row", "code"),
    [
        (None, "no_messages"),
        ([], "no_messages"),
        ({"role": "user"}, "no_messages"),
        (["Hi"], "no_object"),
        ([{"role": "human", "content": "Hi"}], "bad_role"),
        ([{"role": ["user"], "content": "Hi"}], "bad_role"),
        ([{"content": "Hi"}], "bad_role"),
        ([{"role": "user", "content": None}, HI[1]], "no_content"),
        ([{"role": "user", "content": 3}, HI[1]], "no_content"),
        ([HI[0], {"role": "assistant", "content": " \n"}], "no_content"),
        ([HI[0], {"role": "assistant", "content": ""}], "no_content"),
        ([HI[0], {"role": "assistant", "content": None}], "no_content"),
        ([{"role": "user", "content": "\ud800"}, HI[1]], "surrogate"),
        ([*HI, {"role": "system", "content": "Be kind."}], "late_system"),
        ([HI[0], {**HI[1], "loss": "no"}], "bad_loss"),
        ([HI[0], {**HI[1], "loss": 0}], "bad_loss"),
        ([HI[0], {**HI[1], "name": 3}], "bad_field"),
        ([{**HI[0], "tool_calls": [{"name": "f"}]}, HI[1]], "bad_tool_calls"),
        ([HI[0]], "not_shape"),  # a prompt for rewards
        ([HI[0], {**HI[1], "loss": False}], "no_assistant"),
    ],
)
def test_messages_that_cannot_be_used_are_refused(row: Any, code: str) -> None:
    assert refusal("messages", messages=row) == code


def test_sharegpt_roles_become_roles_of_messages() -> None:
    row = [
        {"from": "system", "value": "Be kind."},
        {"from": "human", "value": "1 + 1?"},
        {"from": "function_call", "value": '{"name": "add", "arguments": {"a": 1}}'},
        {"from": "observation", "value": "2"},
        {"from": "gpt", "value": "2.", "loss": False},
        {"from": "human", "value": "Sure?"},
        {"from": "bot", "value": "Yes."},
    ]
    found = sample("sharegpt", conversations=row)
    roles = ["system", "user", "assistant", "tool", "assistant", "user", "assistant"]
    assert [role for role, _ in turns(found)] == roles
    assert messages(found)[2]["tool_calls"][0]["function"] == {"name": "add", "arguments": {"a": 1}}
    assert messages(found)[4]["loss"] is False
    assert refusal("sharegpt", conversations=[{"from": "wizard", "value": "Hi"}]) == "bad_role"
    assert refusal("sharegpt", conversations=[{"from": "function_call", "value": "{"}]) == "bad_tool_calls"
    assert refusal("sharegpt", conversations=[{"from": "human", "value": "Hi"}, {"from": "gpt", "value": ""}]) == (
        "no_content"
    )


def test_alpaca_joins_instruction_and_input_and_puts_history_first() -> None:
    found = sample("alpaca", instruction="Add", input="1, 2", output="3", history=[["Hi", "Hello!"]], system="Be kind.")
    assert turns(found) == [
        ("system", "Be kind."),
        ("user", "Hi"),
        ("assistant", "Hello!"),
        ("user", "Add\n\n1, 2"),
        ("assistant", "3"),
    ]
    assert found.columns == {}
    assert turns(sample("alpaca", instruction="Add", input="", output="3"))[0] == ("user", "Add")
    assert refusal("alpaca", instruction="Add", input="1, 2", output="") == "empty_text"
    assert refusal("alpaca", instruction="Add", output=None) == "no_text"
    assert refusal("alpaca", instruction="Add", output="3", history=[["Hi"]]) == "bad_history"


@pytest.mark.parametrize("query", ["query", "question", "prompt", "input", "instruction"])
@pytest.mark.parametrize("response", ["response", "answer", "output", "completion"])
def test_a_question_and_its_answer_have_many_names(query: str, response: str) -> None:
    row = {query: "2 + 2?", response: "4."}
    shape = recognition.recognise([row]).shape
    assert turns(sample(shape, **row)) == [("user", "2 + 2?"), ("assistant", "4.")]


def test_only_the_completion_is_learned() -> None:
    earlier = [*HI, {"role": "user", "content": "2 + 2?"}]
    found = sample("prompt_completion", prompt=earlier, completion=[{"role": "assistant", "content": "4."}])
    assert [message.get("loss", True) for message in messages(found)] == [True, False, True, True]
    assert turns(sample("prompt_completion", prompt=earlier, completion="4."))[-1] == ("assistant", "4.")
    assert refusal("prompt_completion", prompt=earlier, completion=[HI[0]]) == "no_assistant"


def test_text_is_one_text() -> None:
    found = sample("text", text="  The sky is blue.\n", url="https://example.org")
    assert found.parts[0].text == "  The sky is blue.\n"
    assert found.columns == {"url": "https://example.org"}
    assert refusal("text", text=" ") == "empty_text"
    assert refusal("text", text="\udfff") == "half_surrogate"
    assert refusal("text", body="The sky") == "no_column"


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "2 + 2?", "chosen": "4.", "rejected": "5."},
        {"question": "2 + 2?", "chosen": [{"role": "assistant", "content": "4."}], "rejected": "5."},
        {"prompt": [{"role": "user", "content": "2 + 2?"}], "chosen": "4.", "rejected": "5."},
        {"messages": [{"role": "user", "content": "2 + 2?"}, {"role": "assistant", "content": "4."}]}
        | {"rejected_response": "5."},
        {
            side: [{"role": "user", "content": "2 + 2?"}, {"role": "assistant", "content": answer}]
            for side, answer in (("chosen", "4."), ("rejected", "5."))
        }
        | {"prompt": "2 + 2?"},
        {
            "conversations": [{"from": "human", "value": "2 + 2?"}],
            "chosen": {"from": "gpt", "value": "4."},
            "rejected": {"from": "gpt", "value": "5."},
        },
    ],
)
def test_preference_pairs_come_in_many_forms(row: dict[str, Any]) -> None:
    assert recognition.recognise([row]).shape == "preference"
    found = sample("preference", **row)
    assert [part.name for part in found.parts] == ["chosen", "rejected"]
    assert turns(found, 0) == [("user", "2 + 2?"), ("assistant", "4.")]
    assert turns(found, 1) == [("user", "2 + 2?"), ("assistant", "5.")]


def test_only_the_last_turn_of_a_preference_has_a_loss() -> None:
    earlier = [*HI, {"role": "user", "content": "2 + 2?"}]
    found = sample("preference", prompt=earlier, chosen="4.", rejected="5.", system="Be kind.")
    for part in (0, 1):
        assert [message.get("loss", True) for message in messages(found, part)] == [True, True, False, True, True]


def test_preference_pairs_that_do_not_match_are_refused() -> None:
    other = [{"role": "user", "content": "Bye"}, HI[1]]
    assert refusal("preference", chosen=HI, rejected=other) == "different_prompts"
    assert refusal("preference", chosen=HI, rejected=[HI[0]]) == "no_last_answer"
    assert refusal("preference", prompt="Bye", chosen=HI, rejected=HI) == "prompt_differs"
    assert refusal("preference", chosen="4.", rejected="5.") == "no_column"
    assert refusal("preference", prompt="2 + 2?", chosen="4.", rejected=None) == "no_text"
    assert refusal("preference", prompt="2 + 2?", chosen="4.", rejected=[]) == "no_last_answer"
    assert refusal("preference", chosen=[HI[0], {**HI[1], "loss": False}], rejected=HI) == "no_assistant"


@pytest.mark.parametrize(("label", "wanted"), [(True, True), (False, False), ("True", True), ("0", False), (1, True)])
def test_a_wanted_answer_has_a_label(label: Any, wanted: bool) -> None:
    row = {"prompt": "2 + 2?", "completion": "4.", "label": label}
    assert recognition.recognise([row]).shape == "kto"
    assert sample("kto", **row).label is wanted
    assert sample("kto", messages=HI, label=label).label is wanted


def test_a_label_that_says_neither_is_refused() -> None:
    assert refusal("kto", prompt="2 + 2?", completion="4.", label=None) == "not_shape"  # a question and its answer
    assert refusal("kto", prompt="2 + 2?", completion="4.", label="maybe") == "no_label"
    assert refusal("kto", messages=[HI[0]], label="true", prompt="") == "not_shape"  # a class
    assert refusal("kto", messages=[HI[0], {**HI[1], "loss": False}], label=True) == "no_assistant"


def test_only_the_last_turn_of_a_wanted_answer_has_a_loss() -> None:
    found = sample("kto", messages=[*HI, *HI], label=True)
    assert [message.get("loss", True) for message in messages(found)] == [True, False, True, True]


def test_a_prompt_for_rewards_keeps_the_columns_of_its_reward_functions() -> None:
    found = sample("reward_prompt", messages=[HI[0]], answer="42", images=[])
    assert found.parts[0].name == "prompt"
    assert found.columns == {"answer": "42"}
    assert turns(sample("reward_prompt", question="6 x 7?", answer="42")) == [("user", "6 x 7?")]
    assert turns(sample("reward_prompt", prompt=[HI[0]], system="Be kind."))[0] == ("system", "Be kind.")
    assert refusal("reward_prompt", question="6 x 7?", prompt=3) == "no_text"


@pytest.mark.parametrize("label", ["good", 3, 0.5, True, ["a", "b"], [1, 2]])
def test_a_class_is_a_name_a_number_or_several(label: Any) -> None:
    assert sample("classification", text="A film.", label=label).label == label
    assert sample("classification", messages=[HI[0]], label=label).parts[0].name == "conversation"


@pytest.mark.parametrize("label", [None, "", " ", {}, [None], float("nan"), [True]])
def test_what_is_no_class_is_refused(label: Any) -> None:
    assert refusal("classification", text="A film.", label=label) == ("no_label" if label is not None else "not_shape")


def test_embedding_rows_have_one_anchor_and_any_number_of_others() -> None:
    found = sample("embedding", query="q", pos=["a", {"docid": "7", "text": "b"}], neg=["c"], negative_1="d")
    assert [(part.name, part.text) for part in found.parts] == [
        ("anchor", "q"),
        ("positive 1", "a"),
        ("positive 2", "b"),
        ("negative 1", "c"),
        ("negative 2", "d"),
    ]
    assert [part.name for part in sample("embedding", anchor="q", positive="a").parts] == ["anchor", "positive 1"]
    assert refusal("embedding", anchor="q", positives=[]) == "empty_text"
    assert refusal("embedding", anchor="q", positive=[3]) == "no_text"


def test_checking_messages_again_changes_nothing() -> None:
    call = {"name": "f", "arguments": "{}"}
    row = [HI[0], {"role": "assistant", "content": "", "tool_calls": [call], "thinking": "?"}]
    assert checked(checked(row)) == checked(row)


NAMES = st.sampled_from(
    [
        *("messages", "conversations", "from", "value", "role", "content", "loss", "weight", "thinking", "tool_calls"),
        *("prompt", "completion", "chosen", "rejected", "rejected_response", "query", "response", "history", "system"),
        *("instruction", "input", "output", "text", "label", "labels", "anchor", "positive", "pos", "negative_1"),
        *("tools", "images", "image", "type", "function", "name", "arguments", "url", "id"),
    ]
)
TEXTS = st.sampled_from(
    ["user", "assistant", "system", "human", "gpt", "true", "", " ", "<image>", "\ud800", "[]", "{"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=500)
@given(st.dictionaries(NAMES, VALUES, max_size=6))
def test_any_row_is_read_or_refused_with_a_reason(row: dict[str, Any]) -> None:
    for key, card in shapes.cards().items():
        why = card.recognise(row)
        assert why is None or why
        try:
            found = recognition.sample(RawRow("rows.jsonl", 1, row), key)
        except BadRow as error:
            assert str(error)
        else:
            assert found.parts
            for part in found.parts:
                assert (part.text is None) != (part.messages is None)
                json.dumps(part.messages, ensure_ascii=False).encode()
