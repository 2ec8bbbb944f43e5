"""A recipe file says a whole run: it reads back to itself, and a wrong one is refused with a way out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.recipes import spec as s
from tunesmith.recipes.errors import RecipeError

FOLDER = Path("/recipes")


def struct(kind: type[Any], **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.builds(kind, **fields)


fraction = st.floats(min_value=0, max_value=0.99)
words = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=30).filter(str.strip)
paths = st.sampled_from(["starter", "/data/train.jsonl", "/模型/数据 1.jsonl", "/a: b/#c", "/yes"])
specs = struct(
    s.JobSpec,
    name=words.filter(lambda name: not set("/\\") & set(name)),
    model=struct(s.ModelSpec, source=paths),
    data=struct(
        s.DataSpec,
        train=paths,
        held_out=st.none() | paths,
        held_out_fraction=st.floats(min_value=0.001, max_value=0.99),
        persona=struct(s.Persona, name=words, maker=words),
        over_long=st.sampled_from(["error", "drop", "cut_right"]),
    ),
    tuner=st.fixed_dictionaries({"kind": st.just("lora"), "rank": st.integers(1, 1024), "dropout": st.floats(0, 0.9)}),
    training=struct(
        s.TrainingSpec,
        learning_rate=st.floats(min_value=1e-9, max_value=1),
        epochs=st.integers(1, 1000),
        batch_size=st.integers(1, 4096),
        max_length=st.none() | st.integers(8, 10**6),
        warmup_fraction=fraction,
        gradient_checkpointing=st.booleans(),
        seed=st.integers(0, 2**31),
    ),
    evaluation=struct(s.EvaluationSpec, answers=st.integers(0, 1000), general=st.booleans()),
    exports=st.lists(st.sampled_from(["adapter", "merged", "gguf:f16", "gguf:q8_0"]), max_size=4).map(tuple),
)


def refusal(text: str) -> RecipeError:
    with pytest.raises(RecipeError) as caught:
        s.parse(text, FOLDER)
    return caught.value


@given(specs)
def test_a_recipe_written_out_reads_back_to_the_same_run(spec: s.JobSpec) -> None:
    filled = s.complete(spec)
    assert s.parse(s.to_yaml(filled), FOLDER) == filled


@given(specs)
def test_a_run_crosses_the_socket_unchanged(spec: s.JobSpec) -> None:
    filled = s.complete(spec)
    assert msgspec.json.decode(msgspec.json.encode(filled), type=s.JobSpec) == filled


def test_the_shortest_recipe_is_the_starter_run_with_every_default() -> None:
    spec = s.parse("model: {source: starter}", FOLDER)
    assert spec == s.complete(s.JobSpec())
    assert spec.tuner == {"kind": "lora", "rank": 8, "alpha": 16, "dropout": 0.0}


def test_relative_paths_are_relative_to_the_recipe_file(tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text("model: {source: ../m}\ndata: {train: rows.jsonl}\n")
    spec = s.load(tmp_path / "run.yaml")
    assert spec.model.source == str(tmp_path.parent / "m")
    assert spec.data.train == str(tmp_path / "rows.jsonl")
    assert s.parse("data: {train: starter}", FOLDER).data.train == "starter"


@pytest.mark.parametrize(
    ("text", "key", "hint"),
    [
        ("trainning: {epochs: 1}", "trainning", "'training'"),
        ("training: {learning_rat: 1.0}", "learning_rat", "'learning_rate'"),
        ("data: {persona: {nmae: X}}", "nmae", "'name'"),
        ("tuner: {kind: lora, rnk: 4}", "rnk", "'rank'"),
        ("tuner: {kind: lorra}", "lorra", "'lora'"),
        ("method: {kind: stf}", "stf", "'sft'"),
        ("exports: [gguf:f61]", "gguf:f61", "'gguf:f16'"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest_known(text: str, key: str, hint: str) -> None:
    error = refusal(text)
    assert key in error.message
    assert hint in error.hint


@pytest.mark.parametrize(
    "text",
    [
        "training: {epochs: 0}",
        "training: {learning_rate: 2}",
        "training: {learning_rate: .nan}",
        "training: {gradient_clip: .inf}",
        "training: {batch_size: many}",
        "training: {dtype: float8}",
        "training: {device: tpu}",
        "tuner: {kind: lora, rank: 0}",
        "tuner: lora",
        "quantization: nf5",
        "data: {held_out_fraction: 1}",
        "data: {persona: {name: ' '}}",
        "name: a/b",
        "name: ''",
        "version: 2",
        "",
        "- a list",
        "model: [unclosed",
        "model:\n\tsource: starter",
    ],
)
def test_a_wrong_value_is_refused_with_a_way_out(text: str) -> None:
    error = refusal(text)
    assert error.message
    assert error.hint


@pytest.mark.parametrize(("text", "value"), [("1e-4", 1e-4), ("2.0e-4", 2e-4), ("0.001", 1e-3)])
def test_a_learning_rate_may_be_written_as_people_write_it(text: str, value: float) -> None:
    assert s.parse(f"training: {{learning_rate: {text}}}", FOLDER).training.learning_rate == value


def test_a_file_that_is_not_there_or_not_text_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    for name in ("missing.yaml", "binary.yaml"):
        with pytest.raises(RecipeError, match=name):
            s.load(tmp_path / name)


def test_the_schema_for_editors_knows_every_key_and_knob() -> None:
    document = s.json_schema()
    properties = document["$defs"]["JobSpec"]["properties"]
    assert set(properties) == set(s.JobSpec.__struct_fields__)
    lora = {each["properties"]["kind"]["const"]: each for each in properties["tuner"]["oneOf"]}["lora"]
    assert set(lora["properties"]) == {"kind", "rank", "alpha", "dropout"}
    assert document["$defs"]["TrainingSpec"]["additionalProperties"] is False
