"""F3: any JSON as rows: each is kept or rejected with its reason, counts add up, nothing else is raised."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from tunesmith.recipes.data import shapes
from tunesmith.recipes.data.checking.check import Options, check
from tunesmith.recipes.data.examine import Settings, examine
from tunesmith.recipes.data.files import reading, sources
from tunesmith.recipes.data.reasons import REASONS
from tunesmith.recipes.data.rows import FileNotice
from tunesmith.recipes.errors import TunesmithError

SEED = int(os.environ.get("TUNESMITH_FAULT_SEED", "0"))
ROWS_A_TIME = 20  # 100 examples of 20 rows are 2000 rows
KEYS = (
    "messages", "conversations", "role", "from", "content", "value", "text", "prompt", "completion", "chosen",
    "rejected", "instruction", "input", "output", "question", "answer", "label", "tools", "tool_calls", "images",
    "history", "system", "loss", "weight", "type", "function", "name", "arguments", "query", "response",
    "reasoning_content", "anchor", "positives", "negatives", "train", "score",
)  # fmt: skip
WORDS = ("user", "assistant", "system", "tool", "human", "gpt", "<image>", "</think>", "<|im_end|>", "", "data:,", "0")

texts = st.text(max_size=12) | st.sampled_from(WORDS)
leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS) | texts, inner, max_size=5),
    max_leaves=25,
)
messages = st.lists(
    st.dictionaries(st.sampled_from(("role", "content", "loss", "tool_calls", "name", "weight")), values, min_size=1)
    | st.fixed_dictionaries({"role": st.sampled_from(WORDS), "content": texts | values}),
    max_size=4,
)
nearly = st.fixed_dictionaries({"messages": messages}, optional={"tools": values, "label": leaves, "images": values})
rows = values | nearly | st.dictionaries(st.sampled_from(KEYS), values, min_size=1, max_size=5)


def written(found: list[Any], file: Path) -> None:
    lines = [json.dumps(row).encode("utf-8", "surrogatepass") for row in found]
    file.write_bytes(b"\n".join(lines))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    print(f"seed {SEED}")
    return tmp_path_factory.mktemp("rows")


profile = settings(
    max_examples=100,
    deadline=None,
    derandomize=False,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)


@pytest.mark.slow
@seed(SEED)
@profile
@given(found=st.lists(rows, min_size=ROWS_A_TIME, max_size=ROWS_A_TIME), shape=st.sampled_from(sorted(shapes.cards())))
def test_any_row_is_kept_or_rejected_whatever_shape_was_chosen(
    folder: Path, starter_tokenizer_folder: Path, found: list[Any], shape: str
) -> None:
    file = folder / "any.jsonl"
    written(found, file)
    read = [row for row in reading.rows(sources.find([file])) if not isinstance(row, FileNotice)]
    for trained in ("assistant", "all"):
        chosen = Settings(shape=shape, model=str(starter_tokenizer_folder), trained=trained, max_length=64)
        chunks = [examine(chosen, chunk) for chunk in reading.chunks(sources.find([file]))]
        assert sum(examined.rows_read for examined in chunks) == len(read)
        for examined in chunks:
            assert examined.rows_read == examined.rows_kept + len(examined.rejected)
            assert len(examined.lengths) == len(examined.hashes) == examined.rows_kept
            for row in examined.rejected:
                assert row.code in REASONS and row.reason and row.line >= 1
                msgspec.json.encode(row.values)


@pytest.mark.slow
@seed(SEED)
@settings(profile, max_examples=40)
@given(found=st.lists(rows, max_size=ROWS_A_TIME))
def test_a_check_accounts_for_every_row_or_says_what_to_do(
    folder: Path, starter_tokenizer_folder: Path, found: list[Any]
) -> None:
    file = folder / "checked.jsonl"
    written(found, file)
    rejected = folder / "rejected.jsonl"
    try:
        *_, report = check(
            Options(files=(str(file),), model=str(starter_tokenizer_folder), rejected=str(rejected), processes=1)
        )
    except TunesmithError as error:
        assert error.message and error.hint
        return
    assert report.finished and report.rows_read == report.rows_kept + report.rows_rejected
    assert report.rows_rejected == (len(rejected.read_bytes().splitlines()) if rejected.exists() else 0)
