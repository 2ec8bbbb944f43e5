"""A model folder is understood, or refused with what is missing."""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path

import pytest

from tunesmith.recipes.errors import ModelError
from tunesmith.tui.model_check import check


def safetensors(path: Path, tensors: dict[str, list[int]]) -> None:
    entries: dict[str, object] = {"__metadata__": {"format": "pt"}}
    place = 0
    for name, shape in tensors.items():
        begin, place = place, place + 2 * math.prod(shape)
        entries[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [begin, place]}
    header = json.dumps(entries).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(place))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config.json").write_text(
        json.dumps({"architectures": ["LlamaForCausalLM"], "max_position_embeddings": 2048, "num_hidden_layers": 2})
    )
    (tmp_path / "tokenizer.json").write_text("{}")
    safetensors(tmp_path / "model.safetensors", {"a": [10, 20], "b": [5]})
    return tmp_path


def test_parameters_are_counted_from_the_shapes(folder: Path) -> None:
    facts = check(str(folder))
    assert (facts.parameters, facts.architecture, facts.context, facts.layers) == (205, "LlamaForCausalLM", 2048, 2)
    assert facts.dtype == "BF16"
    assert not facts.chat_template


@pytest.mark.parametrize(
    ("name", "said"),
    [("config.json", "config.json"), ("tokenizer.json", "tokenizer"), ("model.safetensors", "safetensors")],
)
def test_a_missing_file_is_named(folder: Path, name: str, said: str) -> None:
    (folder / name).unlink()
    with pytest.raises(ModelError) as error:
        check(str(folder))
    assert said in error.value.message and error.value.hint


@pytest.mark.parametrize("content", [b"", b"\xff" * 8, b"\x02\0\0\0\0\0\0\0[]", b"\x20\0\0\0\0\0\0\0{"])
def test_a_damaged_weight_file_is_an_error_with_a_next_step(folder: Path, content: bytes) -> None:
    (folder / "model.safetensors").write_bytes(content)
    with pytest.raises(ModelError) as error:
        check(str(folder))
    assert "model.safetensors" in error.value.message and error.value.hint


@pytest.mark.parametrize("content", ["", "[]", "{"])
def test_a_damaged_config_is_an_error_with_a_next_step(folder: Path, content: str) -> None:
    (folder / "config.json").write_text(content)
    with pytest.raises(ModelError) as error:
        check(str(folder))
    assert "config.json" in error.value.message and error.value.hint


def test_a_missing_folder_names_the_part_that_exists(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as error:
        check(str(tmp_path / "no" / "such"))
    assert str(tmp_path) in error.value.hint


def test_a_file_is_not_a_folder(folder: Path) -> None:
    with pytest.raises(ModelError) as error:
        check(str(folder / "config.json"))
    assert str(folder) in error.value.hint
