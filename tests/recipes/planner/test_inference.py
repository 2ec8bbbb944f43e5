"""Chatting with an export takes its file, a KV cache by kind of layer, and llama.cpp itself."""

from __future__ import annotations

import pytest

from tunesmith.recipes.models import catalogue
from tunesmith.recipes.planner.inference import chat


def test_the_cache_of_full_attention_grows_with_the_context_and_that_of_sliding_layers_does_not() -> None:
    full, sliding = (catalogue.find(name).facts for name in ("qwen2.5-0.5b-instruct", "gemma-3-1b-it"))
    assert chat(full, "q8_0", 4096).kv_cache == 2 * 24 * 2 * 64 * 2 * 4096, "keys and values, layers, heads, float16"
    growth = chat(sliding, "q8_0", 8192).kv_cache / chat(sliding, "q8_0", 4096).kv_cache
    assert growth < 1.7, "only one layer of six sees everything"


def test_no_more_tokens_than_the_model_sees_are_kept() -> None:
    facts = catalogue.find("qwen2.5-0.5b-instruct").facts
    assert chat(facts, "f16", 10**9).context == facts.context


def test_eight_bits_take_about_half_the_file_of_sixteen() -> None:
    facts = catalogue.find("qwen2.5-0.5b-instruct").facts
    assert chat(facts, "q8_0", 512).file == pytest.approx(chat(facts, "f16", 512).file * 17 / 32, rel=0.01)
