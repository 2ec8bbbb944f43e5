"""The catalogue of public sets: complete, true to the shapes, and refused when a file of it is wrong."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tunesmith.recipes.data import public_sets, shapes
from tunesmith.recipes.data.parsing import recognition
from tunesmith.recipes.data.public_sets import PublicSet
from tunesmith.recipes.data.rows import RawRow
from tunesmith.recipes.errors import DataError

CHAT = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
WORSE = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "What?"}]
SHAREGPT = [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}]
ALPACA = {"instruction": "Add.", "input": "2, 2", "output": "4"}
LABELLED = {"text": "Good.", "label": 1}
CALL = [
    {"from": "human", "value": "What time is it?"},
    {"from": "function_call", "value": '{"name": "time", "arguments": {}}'},
    {"from": "observation", "value": "12:00"},
    {"from": "gpt", "value": "Noon."},
]

# A row with the columns that the publisher's card names, for each set.
ROWS: dict[str, dict[str, Any]] = {
    "ag-news": LABELLED,
    "all-nli": {"anchor": "A dog runs.", "positive": "An animal moves.", "negative": "A cat sleeps."},
    "alpaca-cleaned": ALPACA,
    "alpaca-gpt4-zh": ALPACA,
    "belle-0.5m-zh": ALPACA,
    "chinese-dpo-pairs": {"prompt": "你好", "system": "", "chosen": "你好！", "rejected": "?", "source": "x"},
    "chinese-r1-distill-110k": ALPACA,
    "chnsenticorp": LABELLED,
    "code-alpaca-20k": ALPACA,
    "coig-cqia": ALPACA | {"task_type": {"major": ["qa"]}, "domain": ["x"], "metadata": "", "answer_from": "human"},
    "deepmath-103k": {"prompt": CHAT[:1], "solution": "$4$"},
    "dolly-15k": {"instruction": "Add.", "context": "", "response": "4", "category": "open_qa"},
    "emotion": LABELLED,
    "finetome-100k": {"conversations": SHAREGPT, "source": "x", "score": 5.2},
    "glaive-function-calling": {"conversations": CALL, "tools": '[{"name": "time", "parameters": {}}]'},
    "gsm8k": {"question": "2 + 2?", "answer": "#### 4"},
    "imdb": LABELLED,
    "kto-mix-14k": {"prompt": CHAT[:1], "completion": CHAT[1:], "label": True},
    "magicoder-oss-instruct-75k": {"lang": "python", "problem": "Add.", "solution": "a + b", "index": 1},
    "medical-o1": {"Question": "What helps?", "Complex_CoT": "Hm.", "Response": "Rest."},
    "metamathqa": {"type": "x", "query": "2 + 2?", "original_question": "2 + 2?", "response": "4"},
    "natural-questions": {"query": "who wrote it", "answer": "A passage."},
    "no-robots": {"prompt": "Hi", "prompt_id": "1", "messages": CHAT, "category": "Chat"},
    "openhermes-2.5": {"conversations": SHAREGPT, "source": "x", "category": None},
    "openr1-math-220k": {"problem": "2 + 2?", "solution": "4", "answer": "4", "messages": CHAT},
    "openthoughts-114k": {"system": "Think.", "conversations": SHAREGPT},
    "orca-dpo-pairs": {"system": "", "question": "Hi", "chosen": "Hello", "rejected": "What?"},
    "ruozhiba": {"instruction": "为什么？", "output": "因为。"},
    "slimorca": {"conversations": [{"from": "system", "value": "Be brief."}, *SHAREGPT]},
    "smol-smoltalk": {"messages": CHAT, "source": "x"},
    "tinystories": {"text": "Once upon a time."},
    "tldr": {"prompt": "A long post. TL;DR:", "completion": " Short."},
    "tulu-3-sft": {"id": "1", "messages": CHAT, "source": "x"},
    "ultrachat-200k": {"prompt": "Hi", "prompt_id": "1", "messages": CHAT},
    "ultrafeedback": {"prompt": "Hi", "prompt_id": "1", "chosen": CHAT, "rejected": WORSE, "messages": CHAT,
                      "score_chosen": 8.0, "score_rejected": 2.0},
    "ultrafeedback-kto": {"prompt": "Hi", "completion": "Hello", "label": False},
    "wikipedia-zh": {"completion": "文章。", "source": "wikipedia.zh2307"},
    "wikitext-2": {"text": " = Title = \n"},
}  # fmt: skip

GOOD = """
key = "good"
title = "Good"
blurb = "A set."
good_for = "tests"
shape = "text"
topics = ["chat"]
languages = ["en"]
license = "MIT"
source = "https://example.org"

[huggingface]
id = "owner/name"
"""


def test_the_catalogue_covers_every_shape_in_english_and_chinese() -> None:
    sets = public_sets.sets().values()
    assert len(sets) >= 30
    assert {public_set.shape for public_set in sets} == set(shapes.cards())
    chinese = {public_set.shape for public_set in sets if "zh" in public_set.languages}
    assert {"alpaca", "query_response", "text", "preference", "classification"} <= chinese
    assert sum(public_set.modelscope is not None for public_set in sets) >= 15
    assert {topic for public_set in sets for topic in public_set.topics} >= {"tools", "reasoning", "math", "code"}


@pytest.mark.parametrize("public_set", public_sets.sets().values(), ids=lambda public_set: public_set.key)
def test_a_row_as_the_publisher_describes_it_is_read_with_the_catalogue_s_shape_and_mapping(
    public_set: PublicSet,
) -> None:
    row = ROWS[public_set.key]
    assert public_set.mapping.keys() <= row.keys()
    sample = recognition.sample(RawRow("file", 1, row), public_set.shape, public_set.mapping)
    assert sample.parts
    found = recognition.recognise([row], public_set.mapping, public_set.shape)
    assert found.shape == public_set.shape


@pytest.mark.parametrize("public_set", public_sets.sets().values(), ids=lambda public_set: public_set.key)
def test_the_facts_of_a_set_are_well_formed(public_set: PublicSet) -> None:
    assert public_set.source.startswith("https://")
    assert public_set.title and public_set.blurb.endswith(".") and public_set.good_for and public_set.license
    assert public_set.words("en").good_for == public_set.good_for
    assert public_set.words("zh").blurb.endswith("。") and public_set.words("zh").good_for
    assert all(len(code) == 2 for code in public_set.languages)
    for repository in public_set.repositories.values():
        owner, name = repository.id.split("/")
        assert owner and name
        assert not any(pattern.endswith(".py") for pattern in repository.files)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("key = ", "licence = \"MIT\"\nkey = "), "licence"),
        (('key = "good"', 'key = "other"'), "not the name of the file"),
        (('["chat"]', '["chatt"]'), "Did you mean 'chat'"),
        (('[huggingface]\nid = "owner/name"', ""), "lies at no hub"),
        (('languages = ["en"]', "languages = []"), "must not be empty"),
        (('title = "Good"\n', ""), "title"),
        (('license = "MIT"', "license = MIT"), "good.toml"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_refused_by_name(change: tuple[str, str], words: str, tmp_path: Path) -> None:
    (tmp_path / "good.toml").write_text(GOOD.replace(*change), "utf-8")
    with pytest.raises(ValueError, match=words) as refused:
        public_sets.load(tmp_path)
    assert "good.toml" in str(refused.value)


def test_files_are_wanted_by_pattern_and_all_without_one(tmp_path: Path) -> None:
    (tmp_path / "good.toml").write_text(GOOD + 'files = ["data/train-*.parquet"]\n', "utf-8")
    repository = public_sets.load(tmp_path)["good"].repositories["huggingface"]
    assert repository.wants("data/train-00000-of-00001.parquet")
    assert not repository.wants("data/test-00000-of-00001.parquet")
    assert public_sets.Repository("owner/name").wants("anything.jsonl")


def test_sets_are_found_by_shape_language_and_topic_together() -> None:
    found = public_sets.matching(["alpaca", "query_response"], ["zh"], ["reasoning"])
    assert {public_set.key for public_set in found} == {"chinese-r1-distill-110k", "medical-o1", "ruozhiba"}
    assert len(public_sets.matching()) == len(public_sets.sets())


def test_an_unknown_set_names_the_nearest() -> None:
    with pytest.raises(DataError, match="alpaka-cleaned") as refused:
        public_sets.find("alpaka-cleaned")
    assert "alpaca-cleaned" in refused.value.hint


def test_the_catalogue_loads_no_client_and_no_array_library() -> None:
    code = (
        "import sys; from tunesmith.recipes.data import public_sets; public_sets.sets()\n"
        "assert not {'numpy', 'pyarrow', 'requests', 'httpx', 'huggingface_hub', 'modelscope_hub'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
