"""Weight files are counted by their headers alone, exactly, and a damaged one is refused with its name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.recipes.errors import ModelError
from tunesmith.recipes.models import read, safetensors, tensors

CONFIG = {"model_type": "llama", "vocab_size": 10, "hidden_size": 4, "intermediate_size": 8, "num_hidden_layers": 1,
          "num_attention_heads": 2}  # fmt: skip
SHAPES = st.lists(st.integers(0, 40), max_size=4)
DTYPES = st.sampled_from(sorted(name for name, bits in safetensors.BITS.items() if bits >= 8))
ENTRIES = st.dictionaries(
    st.text(min_size=1, max_size=20).filter(lambda name: name != "__metadata__"), st.tuples(DTYPES, SHAPES), max_size=8
)


def header_of(entries: Mapping[str, tuple[str, list[int]]], metadata: bool = False) -> tuple[bytes, int]:
    """The header that the format asks for, and how many bytes of tensors follow it."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}} if metadata else {}
    end = 0
    for name, (dtype, shape) in entries.items():
        begin, end = end, end + prod(shape) * safetensors.BITS[dtype] // 8
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}
    return json.dumps(header).encode(), end


def write(path: Path, entries: Mapping[str, tuple[str, list[int]]]) -> Path:
    header, data = header_of(entries, metadata=True)
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(data))
    return path


@given(ENTRIES, st.booleans())
def test_every_header_is_counted_exactly(entries: dict[str, tuple[str, list[int]]], metadata: bool) -> None:
    header, data = header_of(entries, metadata)
    found = safetensors.parse(header, "x", data)
    assert {tensor.name: tensor.numbers for tensor in found} == {n: prod(shape) for n, (_, shape) in entries.items()}
    assert sum(tensor.bytes for tensor in found) == data


@given(st.binary(max_size=400))
def test_bytes_that_are_no_header_are_refused_and_nothing_else_happens(content: bytes) -> None:
    try:
        safetensors.parse(content, "x", 0)
    except ModelError as refused:
        assert refused.message.startswith("x is not a whole safetensors file")


WHOLE = {"dtype": "F16", "shape": [2], "data_offsets": [0, 4]}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
        st.sampled_from(["dtype", "shape", "data_offsets", "a"]), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


@given(st.dictionaries(st.text(max_size=6), JSON, max_size=4))
def test_json_of_any_other_form_is_refused(value: dict[str, Any]) -> None:
    try:
        assert all(tensor.bytes >= 0 for tensor in safetensors.parse(json.dumps(value).encode(), "x"))
    except ModelError as refused:
        assert refused.hint


@given(ENTRIES.filter(bool), st.data())
def test_a_cut_file_is_refused(entries: dict[str, tuple[str, list[int]]], data: st.DataObject) -> None:
    header, size = header_of(entries)
    with pytest.raises(ModelError):
        safetensors.parse(header[: data.draw(st.integers(0, len(header) - 1))], "x", size)
    if size:
        with pytest.raises(ModelError, match="bytes of tensors are there"):
            safetensors.parse(header, "x", size - 1)


@pytest.mark.parametrize(
    ("entry", "second"),
    [
        ({"dtype": "F16", "shape": [2], "data_offsets": [0, 5]}, None),
        ({"dtype": "F15", "shape": [2], "data_offsets": [0, 4]}, None),
        ({"dtype": "F16", "shape": [-2], "data_offsets": [0, 4]}, None),
        ({"dtype": "F16", "shape": [2], "data_offsets": [4, 8]}, None),
        (WHOLE, {"dtype": "F16", "shape": [2], "data_offsets": [2, 6]}),
    ],
)
def test_a_tensor_that_lies_is_refused(entry: dict[str, Any], second: dict[str, Any] | None) -> None:
    header = json.dumps({"a": entry} | ({"b": second} if second else {})).encode()
    with pytest.raises(ModelError, match="x is not a whole safetensors file"):
        safetensors.parse(header, "x")


@pytest.mark.parametrize("content", [b"", b"abc", (10**9).to_bytes(8, "little"), (99).to_bytes(8, "little") + b"{}"])
def test_a_file_shorter_than_its_header_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(ModelError, match=r"model\.safetensors is not a whole safetensors file"):
        tensors(tmp_path)


def test_shards_are_added_up(tmp_path: Path) -> None:
    write(tmp_path / "model-00001-of-00002.safetensors", {"a": ("BF16", [3, 4])})
    write(tmp_path / "model-00002-of-00002.safetensors", {"b": ("F32", [5]), "x.rotary_emb.inv_freq": ("F32", [2])})
    write(tmp_path / "consolidated.safetensors", {"a": ("BF16", [3, 4])})
    names = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": names}))
    stored = tensors(tmp_path)
    assert (stored.parameters, stored.bytes, stored.dtypes, stored.files) == (17, 24 + 28, ("BF16", "F32"), 2)


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "one.safetensors"}}))
    with pytest.raises(ModelError, match=r"lacks one\.safetensors"):
        tensors(tmp_path)


@pytest.mark.parametrize("name", ["../x.safetensors", "/etc/passwd", "a/b.safetensors", "..\\x"])
def test_an_index_leads_to_no_other_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": name}}))
    with pytest.raises(ModelError, match="names the file"):
        tensors(tmp_path)


def test_packed_weights_are_bytes_of_no_known_count(tmp_path: Path) -> None:
    write(tmp_path / "model.safetensors", {"w.qweight": ("I32", [4, 4]), "w.scales": ("F16", [4])})
    stored = tensors(tmp_path)
    assert (stored.parameters, stored.bytes) == (None, 72)


def test_what_lies_in_the_files_goes_before_what_was_derived(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    derived = read(tmp_path)
    assert derived.stored is None
    write(tmp_path / "model.safetensors", {"a": ("F16", [7, 11])})
    facts = read(tmp_path)
    assert (facts.parameters, facts.derived_parameters) == (77, derived.parameters)


def test_a_head_that_is_the_embeddings_counts_once(tmp_path: Path) -> None:
    both = {"model.embed_tokens.weight": ("F16", [7, 3]), "lm_head.weight": ("F16", [7, 3])}
    write(tmp_path / "model.safetensors", both)
    counts = []
    for tied in (True, False):
        (tmp_path / "config.json").write_text(json.dumps(CONFIG | {"tie_word_embeddings": tied}))
        counts.append(read(tmp_path).parameters)
    assert counts == [21, 42]
    stored = read(tmp_path).stored
    assert stored is not None and stored.bytes == 84


def test_a_folder_without_a_model_is_told_what_it_lacks(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"has no config\.json"):
        read(tmp_path)
    with pytest.raises(ModelError, match="holds no weights"):
        tensors(tmp_path)
    (tmp_path / "config.json").write_text("[1]")
    with pytest.raises(ModelError, match="is not a table"):
        read(tmp_path)


def test_the_header_of_a_gguf_is_counted(tmp_path: Path) -> None:
    import gguf
    import numpy as np

    writer = gguf.GGUFWriter(tmp_path / "m.gguf", "llama")
    writer.add_tensor("a", np.zeros((4, 32), np.float32))
    quantized = gguf.quants.quantize(np.zeros((4, 64), np.float32), gguf.GGMLQuantizationType.Q8_0)
    writer.add_tensor("b", quantized, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    for path in (tmp_path, tmp_path / "m.gguf"):
        stored = tensors(path)
        assert (stored.parameters, stored.bytes, stored.dtypes) == (128 + 256, 512 + 8 * 34, ("F32", "Q8_0"))
    (tmp_path / "other.gguf").write_bytes(b"GGUF")
    with pytest.raises(ModelError, match="holds several models"):
        tensors(tmp_path)
    for content in (b"", b"GGUF", b"nothing at all, but long enough for numbers", b"GGUF" + bytes([3, 0, 0, 0]) * 5):
        (tmp_path / "other.gguf").write_bytes(content)
        with pytest.raises(ModelError, match="is not a whole GGUF file"):
            tensors(tmp_path / "other.gguf")
