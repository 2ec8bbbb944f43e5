"""A tokenizer is read from a model's folder, and its quick path gives the tokens of the slow one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from chat_formats import CHATML
from hypothesis import given, settings
from hypothesis import strategies as st
from template_reference import spaced_tokenizer

from tunesmith.recipes.data.rendering.render import render
from tunesmith.recipes.data.rendering.tokenizer import Tokenizer
from tunesmith.recipes.data.rows import Part
from tunesmith.recipes.errors import ModelError

PIECES = ("<|im_start|>", "<|im_end|>", "<|", "\n", "\r\n", "  ", " ", "\t", "'s", "'LL", "\u200b", "\u0301")
MORE = ("\u3000", "\xa0", "\x00", "0", "١", "①", "中", "é", "e\u0301", "😀", "👩‍👩‍👧", "\ufeff", "ſ", "İ", "ß", "12345")
HOSTILE = st.lists(
    st.one_of(st.sampled_from(PIECES + MORE), st.text(st.characters(exclude_categories=["Cs"]), max_size=8)),
    max_size=12,
).map("".join)


@pytest.fixture(scope="module")
def starter(starter_tokenizer_folder: Path) -> tuple[Tokenizer, Tokenizer]:
    return Tokenizer.load(starter_tokenizer_folder), Tokenizer.load(starter_tokenizer_folder, fast=False)


@pytest.fixture(scope="module")
def composing(starter_tokenizer_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Tokenizer, Tokenizer]:
    """As Qwen has it: characters are composed (NFC) before anything else."""
    folder = tmp_path_factory.mktemp("nfc")
    settings_ = json.loads((starter_tokenizer_folder / "tokenizer.json").read_text(encoding="utf-8"))
    (folder / "tokenizer.json").write_text(json.dumps({**settings_, "normalizer": {"type": "NFC"}}))
    return Tokenizer.load(folder), Tokenizer.load(folder, fast=False)


def test_the_quick_path_is_used_where_it_can_be(starter: tuple[Tokenizer, Tokenizer]) -> None:
    pytest.importorskip("fastokens")
    assert starter[0].fast is not None and starter[1].fast is None
    assert starter[0].fingerprint == starter[1].fingerprint


@settings(max_examples=500)
@given(st.data())
def test_the_quick_path_gives_the_same_tokens_and_masks(
    starter: tuple[Tokenizer, Tokenizer], composing: tuple[Tokenizer, Tokenizer], data: st.DataObject
) -> None:
    texts = data.draw(st.lists(HOSTILE, min_size=1, max_size=4))
    spans = []
    for text in texts:
        cuts = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=4)))
        spans.append(list(zip(cuts[::2], cuts[1::2], strict=False)))
    for quick, slow in (starter, composing):
        for one, other in zip(quick.encode_many(texts, spans), slow.encode_many(texts, spans), strict=True):
            assert one[0].tolist() == other[0].tolist() and one[0].dtype == "int32"
            assert one[1].tolist() == other[1].tolist() and one[1].dtype == "bool"


def test_token_places_are_characters_of_the_text(starter: tuple[Tokenizer, Tokenizer]) -> None:
    encoded = starter[0].encode(" Hello 😀")
    assert encoded.starts[0] == 0 and encoded.ends[-1] == 8  # the space belongs to its token
    assert len(encoded.ids) == len(encoded.starts) == len(encoded.ends)


def test_special_tokens_and_sizes_are_read(starter: tuple[Tokenizer, Tokenizer]) -> None:
    tokenizer = starter[0]
    assert (tokenizer.eos_token, tokenizer.eos_id, tokenizer.pad_id) == ("<|im_end|>", 2, 2)
    assert tokenizer.vocabulary_size == 49152 and tokenizer.leading_id is None
    assert tokenizer.special["bos_token"] == "<|im_start|>"
    assert tokenizer.template is not None and tokenizer.endings is not None


def test_a_template_is_found_wherever_models_keep_it(starter_tokenizer_folder: Path, tmp_path: Path) -> None:
    shutil.copy(starter_tokenizer_folder / "tokenizer.json", tmp_path)
    assert Tokenizer.load(tmp_path).template is None
    named = [{"name": "tools", "template": "x"}, {"name": "default", "template": CHATML}]
    for given_ in (CHATML, named, {"default": CHATML}):
        (tmp_path / "tokenizer_config.json").write_text(json.dumps({"chat_template": given_}))
        template = Tokenizer.load(tmp_path).template
        assert template is not None and template.source == CHATML
    (tmp_path / "chat_template.jinja").write_text("other")
    template = Tokenizer.load(tmp_path).template
    assert template is not None and template.source == "other"


def test_special_tokens_may_be_objects_or_in_the_older_file(starter_tokenizer_folder: Path, tmp_path: Path) -> None:
    shutil.copy(starter_tokenizer_folder / "tokenizer.json", tmp_path)
    older = {"eos_token": "<|im_start|>", "pad_token": "<|im_end|>"}
    (tmp_path / "special_tokens_map.json").write_text(json.dumps(older))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"eos_token": {"content": "<|endoftext|>"}}))
    tokenizer = Tokenizer.load(tmp_path)
    assert (tokenizer.eos_id, tokenizer.pad_id) == (0, 2)


def test_a_tokenizer_that_begins_texts_with_a_token_does_so_for_plain_text(tmp_path: Path) -> None:
    settings_ = spaced_tokenizer()
    settings_["post_processor"] = {
        "type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": "<unk>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
        "special_tokens": {"<unk>": {"id": "<unk>", "ids": [0], "tokens": ["<unk>"]}},
    }
    (tmp_path / "tokenizer.json").write_text(json.dumps(settings_))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"bos_token": "<unk>"}))
    tokenizer = Tokenizer.load(tmp_path)
    assert tokenizer.leading_id == 0 and tokenizer.encode("the").ids[0] != 0
    rendered = render(Part("text", text="the"), None, tokenizer)
    assert rendered.ids[0] == 0 and rendered.text == "<unk>the"


def test_the_fingerprint_changes_with_whatever_changes_tokens(starter_tokenizer_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(starter_tokenizer_folder, folder)
    first = Tokenizer.load(folder).fingerprint
    assert first == Tokenizer.load(starter_tokenizer_folder).fingerprint
    (folder / "chat_template.jinja").write_text(CHATML + " ")
    second = Tokenizer.load(folder).fingerprint
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": "<|endoftext|>"}))
    assert len({first, second, Tokenizer.load(folder).fingerprint}) == 3


def test_a_folder_without_a_readable_tokenizer_is_refused_with_a_way_out(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no tokenizer\.json") as caught:
        Tokenizer.load(tmp_path)
    assert caught.value.hint
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(ModelError, match="cannot be read"):
        Tokenizer.load(tmp_path)
    (tmp_path / "tokenizer.json").write_bytes(b"\xff{")
    with pytest.raises(ModelError, match="cannot be read"):
        Tokenizer.load(tmp_path)


def test_a_conversation_needs_a_chat_template(starter_tokenizer_folder: Path, tmp_path: Path) -> None:
    shutil.copy(starter_tokenizer_folder / "tokenizer.json", tmp_path)
    with pytest.raises(ModelError, match="no chat template"):
        render(Part("conversation", [{"role": "user", "content": "a"}]), None, Tokenizer.load(tmp_path))
