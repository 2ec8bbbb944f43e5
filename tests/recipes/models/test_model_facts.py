"""A config.json is read whatever its authors called things, and its memory follows the kinds of its layers."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.recipes.errors import ModelError
from tunesmith.recipes.models import KINDS, ModelFacts, from_config

LLAMA: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "vocab_size": 128256,
    "hidden_size": 2048,
    "intermediate_size": 8192,
    "num_hidden_layers": 16,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 64,
    "max_position_embeddings": 131072,
    "tie_word_embeddings": True,
}
GPT2 = {"model_type": "gpt2", "n_embd": 768, "n_layer": 12, "n_head": 12, "vocab_size": 50257, "n_positions": 1024}
GEMMA3 = {
    "model_type": "gemma3_text", "vocab_size": 262144, "hidden_size": 1152, "intermediate_size": 6912,
    "num_hidden_layers": 26, "num_attention_heads": 4, "num_key_value_heads": 1, "head_dim": 256,
    "sliding_window": 512, "sliding_window_pattern": 6,
}  # fmt: skip
MIXTRAL = {
    "model_type": "mixtral", "vocab_size": 32000, "hidden_size": 4096, "intermediate_size": 14336,
    "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8, "num_local_experts": 8,
    "num_experts_per_tok": 2, "sliding_window": None,
}  # fmt: skip
DEEPSEEK = {
    "model_type": "deepseek_v3", "vocab_size": 129280, "hidden_size": 7168, "intermediate_size": 18432,
    "moe_intermediate_size": 2048, "num_hidden_layers": 61, "num_attention_heads": 128, "num_key_value_heads": 128,
    "n_routed_experts": 256, "n_shared_experts": 1, "num_experts_per_tok": 8, "first_k_dense_replace": 3,
    "q_lora_rank": 1536, "kv_lora_rank": 512, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128,
}  # fmt: skip
HYBRID = LLAMA | {"model_type": "falcon_h1", "mamba_n_heads": 4, "layer_types": None, "full_attn_idxs": [1]}


def test_a_llama_is_counted_as_its_publisher_does() -> None:
    facts = from_config(LLAMA)
    assert facts.parameters == 1_235_814_400  # "safetensors" on the page of Llama-3.2-1B
    assert facts.embedding_parameters == 128256 * 2048
    assert facts.linear_parameters == 16 * (2048 * 2048 * 2 + 2 * 2048 * 512 + 3 * 2048 * 8192)
    assert (facts.architecture, facts.context, facts.kinds) == ("LlamaForCausalLM", 131072, "f" * 16)
    assert facts.known


def test_old_names_of_keys_are_read() -> None:
    facts = from_config(GPT2)
    assert facts.parameters == 124_439_808  # gpt2's safetensors without its masks
    assert (facts.layers, facts.heads, facts.intermediate_size) == (12, 12, 3072)


def test_a_language_model_within_another_is_found() -> None:
    nested = {"model_type": "gemma3", "architectures": ["Gemma3ForConditionalGeneration"], "text_config": GEMMA3}
    facts = from_config(nested)
    assert facts.parameters == from_config(GEMMA3).parameters == 999_885_952
    assert (facts.model_type, facts.layers) == ("gemma3", 26)


def test_what_a_nested_config_leaves_out_is_its_class_s_default() -> None:
    """As Gemma 3 4B is published: heads and vocabulary are not written."""
    text = {"hidden_size": 2560, "intermediate_size": 10240, "num_hidden_layers": 34, "sliding_window": 1024}
    eyes = {
        "model_type": "siglip_vision_model", "hidden_size": 1152, "intermediate_size": 4304, "num_hidden_layers": 27,
        "image_size": 896, "patch_size": 14, "vision_use_head": False,
    }  # fmt: skip
    published = {"model_type": "gemma3", "text_config": text | {"model_type": "gemma3_text"}, "vision_config": eyes}
    assert from_config(published).parameters == 4_300_079_472
    with pytest.raises(ModelError, match="under 'text_config' has no 'vocab_size'"):
        from_config({"model_type": "new", "text_config": text})


def test_only_the_chosen_experts_are_active() -> None:
    facts = from_config(MIXTRAL)
    assert (facts.parameters, facts.active_parameters) == (46_702_792_704, 12_879_925_248)
    deepseek = from_config(DEEPSEEK)
    assert deepseek.parameters == pytest.approx(671e9, rel=0.001)
    assert deepseek.active_parameters == pytest.approx(37e9, rel=0.02)
    assert deepseek.dense_layers == 3


def test_sliding_layers_cache_their_window_and_no_more() -> None:
    facts = from_config(GEMMA3)
    assert facts.kinds == "sssssf" * 4 + "ss"
    token = 2 * 1 * 256 * 2  # key and value, one head of 256, 2 bytes
    assert facts.kv_cache_bytes(100) == 26 * 100 * token
    assert facts.kv_cache_bytes(8192) == (4 * 8192 + 22 * 512) * token
    assert facts.kv_cache_bytes(8192, 1) == facts.kv_cache_bytes(8192) // 2


def test_latent_attention_caches_its_short_vector() -> None:
    assert from_config(DEEPSEEK).kv_cache_bytes(1) == 61 * (512 + 64) * 2


def test_recurrent_layers_keep_a_state_of_fixed_size() -> None:
    hybrid = LLAMA | {
        "model_type": "lfm2", "layer_types": ["conv"] * 12 + ["full_attention"] * 4, "block_auto_adjust_ff_dim": False,
    }  # fmt: skip
    facts = from_config(hybrid)
    assert facts.linear_layers == 12
    grows = facts.kv_cache_bytes(2000) - facts.kv_cache_bytes(1000)
    assert grows == 4 * 1000 * 2 * 8 * 64 * 2
    assert facts.kv_cache_bytes(0) == 12 * 2048 * 3 * 2


@pytest.mark.parametrize("window", [{"sliding_window": None}, {"use_sliding_window": False, "sliding_window": 4096}])
def test_a_window_that_is_not_used_slides_nothing(window: dict[str, Any]) -> None:
    facts = from_config(LLAMA | {"model_type": "mistral"} | window)
    assert (facts.sliding_window, facts.kinds) == (None, "f" * 16)


@pytest.mark.parametrize(
    ("key", "also"), [("hidden_size", "n_embd"), ("num_hidden_layers", "n_layer"), ("vocab_size", "padded_vocab_size")]
)
def test_a_missing_key_is_named_with_its_synonyms(key: str, also: str) -> None:
    with pytest.raises(ModelError, match=rf"model/config.json has no '{key}' \(nor .*'{also}'") as refused:
        from_config({name: value for name, value in LLAMA.items() if name != key}, "model/config.json")
    assert refused.value.hint


@pytest.mark.parametrize("value", ["many", 1.5, -1, True, 0])
def test_a_number_that_is_none_is_refused(value: object) -> None:
    with pytest.raises(ModelError, match="num_hidden_layers"):
        from_config(LLAMA | {"num_hidden_layers": value})


@given(st.sampled_from([LLAMA, GPT2, GEMMA3, MIXTRAL, DEEPSEEK, HYBRID]), st.data())
def test_a_damaged_config_is_read_or_refused_and_nothing_else_happens(
    config: dict[str, Any], data: st.DataObject
) -> None:
    key = data.draw(st.sampled_from(sorted(config)))
    value = data.draw(
        st.none() | st.booleans() | st.integers(-2, 1 << 70) | st.floats() | st.text(max_size=5)
        | st.lists(st.integers(0, 40) | st.text(max_size=3), max_size=3)
    )  # fmt: skip
    try:
        facts = from_config(config | {key: value})
        assert facts.parameters >= 0 and facts.kv_cache_bytes(1000) >= 0
    except ModelError as refused:
        assert refused.hint


def test_an_unknown_architecture_is_taken_for_an_ordinary_decoder_and_says_so() -> None:
    facts = from_config(LLAMA | {"model_type": "novel"})
    assert facts.parameters == from_config(LLAMA).parameters
    assert not facts.known


def test_an_unknown_tower_makes_the_count_a_guess() -> None:
    assert not from_config({"model_type": "x", "text_config": LLAMA, "vision_config": {"model_type": "new"}}).known


@pytest.mark.parametrize("config", [LLAMA, GPT2, GEMMA3, MIXTRAL, DEEPSEEK])
def test_facts_cross_a_border_whole(config: dict[str, Any]) -> None:
    facts = from_config(config)
    assert msgspec.json.decode(msgspec.json.encode(facts), type=ModelFacts) == facts
    assert set(facts.kinds) <= set(KINDS) and len(facts.kinds) == facts.layers


def test_no_engine_is_loaded_for_it() -> None:
    code = "import sys, tunesmith.recipes.models; print([m for m in ('torch', 'gguf', 'numpy') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"
