"""Every model of the catalogue says the same twice: by its sizes and by its published count of parameters."""

from __future__ import annotations

import datetime
import re
from collections import Counter
from pathlib import Path

import pytest

from tunesmith.recipes.errors import ModelError
from tunesmith.recipes.models import catalogue
from tunesmith.recipes.models.catalogue import Entry

ENTRIES = catalogue.catalogue()
FAMILIES = {
    "baichuan", "deepseek", "ernie", "exaone", "falcon", "gemma", "glm", "gpt-oss", "granite", "hunyuan", "internlm",
    "lfm2", "llama", "minicpm", "mistral", "olmo", "phi", "qwen2.5", "qwen3", "seed-oss", "smollm", "stablelm",
    "tinyllama", "yi",
}  # fmt: skip
SPDX = {"Apache-2.0", "MIT"}
ONE = """title = "T"
[[models]]
huggingface = "a/B"
license = "MIT"
gated = false
kind = "base"
modalities = ["text"]
context = 8
parameters = 10
gguf = "yes"
source = "x"
checked = 2026-01-01
checked_by = "count"
[models.architecture]
hidden_size = 4
"""


def test_there_are_the_families_we_know_of() -> None:
    assert {entry.family for entry in ENTRIES} == FAMILIES
    assert len(ENTRIES) >= 130


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.key)
def test_sizes_give_the_published_count(entry: Entry) -> None:
    assert entry.facts.parameters == pytest.approx(entry.parameters, rel=0.02)
    assert entry.facts.known
    assert entry.facts.active_parameters <= entry.facts.parameters


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.key)
def test_an_entry_is_complete(entry: Entry) -> None:
    assert entry.license and entry.source == f"https://huggingface.co/{entry.huggingface}"
    assert datetime.date(2026, 1, 1) <= entry.checked
    assert entry.context == entry.facts.context >= 2048
    assert entry.facts.architecture
    assert ("image" in entry.modalities) == (entry.facts.tower_parameters > 0)
    # What its own name says of its size, for example "8b", "1.7b" or "a3b" behind it for the active ones.
    if named := re.search(r"[-_]e?(\d+(?:[._]\d+)?)(b|m)(?:-|$)", entry.key):
        size = float(named[1].replace("_", ".")) * {"b": 1e9, "m": 1e6}[named[2]]
        assert entry.parameters == pytest.approx(size, rel=0.7)


def test_most_counts_are_exact() -> None:
    exact = [entry for entry in ENTRIES if entry.facts.parameters == entry.parameters]
    assert len(exact) >= 0.75 * len(ENTRIES)


def test_names_are_unique() -> None:
    for names in ([e.key for e in ENTRIES], [e.modelscope for e in ENTRIES if e.modelscope]):
        assert [name for name, count in Counter(names).items() if count > 1] == []


@pytest.mark.parametrize(
    "name", ["llama-3.2-1b-instruct", "meta-llama/Llama-3.2-1B-Instruct", "llm-research/llama-3.2-1b-instruct"]
)
def test_a_model_is_found_by_key_and_by_the_id_of_either_hub(name: str) -> None:
    assert catalogue.find(name).huggingface == "meta-llama/Llama-3.2-1B-Instruct"


def test_an_unknown_model_offers_the_nearest() -> None:
    with pytest.raises(ModelError, match=r"called 'qwen3-0\.6' in") as refused:
        catalogue.find("qwen3-0.6")
    assert refused.value.hint.startswith("Did you mean 'qwen3-0.6b'?")
    with pytest.raises(ModelError) as refused:
        catalogue.find("zzzzzzzz")
    assert refused.value.hint == "Any other model works too: give the path of its folder."


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (ONE.replace('"base"', '"chat"'), "kind"),
        (ONE.replace('["text"]', '["txt"]'), "unknown modality 'txt'. Did you mean 'text'"),
        (ONE.replace("a/B", "B"), "not owner/name"),
        (ONE + ONE.partition("\n")[2], "is there twice"),
        (ONE.replace("gated = false", "gatted = false"), "gatted"),
        ("title = ", "m.toml"),
    ],
)
def test_a_wrong_file_is_refused_by_name(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "m.toml").write_text(text)
    with pytest.raises(ValueError, match=re.escape(reason)) as refused:
        catalogue.load(tmp_path)
    assert str(refused.value).startswith("m.toml: ")


def test_a_right_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "m.toml").write_text(ONE)
    (entry,) = catalogue.load(tmp_path)
    assert (entry.key, entry.family, dict(entry.ids)) == ("b", "m", {"huggingface": "a/B"})


def test_mixtures_keep_only_some_experts_active() -> None:
    active = {entry.key: entry.facts.active_parameters / 1e9 for entry in ENTRIES if entry.facts.experts}
    assert len(active) >= 15
    assert active["qwen3-30b-a3b"] == pytest.approx(3.3, abs=0.1)
    assert active["mixtral-8x7b-instruct-v0.1"] == pytest.approx(12.9, abs=0.1)
    assert active["deepseek-v3-0324"] == pytest.approx(37, rel=0.02)
