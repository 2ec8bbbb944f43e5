"""Counts derived from a config are those of the model that transformers builds of it."""

from __future__ import annotations

from typing import Any

import pytest
from families import EQUAL_HEADS, EXPERTS, EYES, FAMILIES, HARD, HEADS, SIZES, Family, adapted, config

from tunesmith.recipes.models import from_config
from tunesmith.recipes.models.conventions import ADAPTED_EXPERTS
from tunesmith.recipes.models.defaults import DEFAULTS, NAMES
from tunesmith.recipes.planner.memory import adapter_parameters

# Its recurrent layers (RG-LRU) are counted by nothing here, so that it is told to be unknown.
UNCOUNTED = {"recurrent_gemma"}
LATENT = {"kv_lora_rank": 16, "q_lora_rank": 24, "qk_nope_head_dim": 8, "qk_rope_head_dim": 8, "v_head_dim": 8}
ROUTED = {"n_routed_experts": 4, "moe_intermediate_size": 32, "first_k_dense_replace": 1, "n_shared_experts": 1}
STATES = {"mamba_n_heads": 8, "mamba_d_head": 16, "mamba_d_state": 8, "mamba_n_groups": 1}
MORE = (
    Family("exaone4", config("Exaone4Config", **SIZES)),
    Family("seed_oss", config("SeedOssConfig", **HEADS)),
    Family("internlm3", config("InternLM3Config", **HEADS)),
    Family("hunyuan_v1_dense", config("HunYuanDenseV1Config", **HEADS)),
    Family("hunyuan_v1_moe", config("HunYuanMoEV1Config", **HEADS, num_experts=4, moe_topk=2)),
    Family("ernie4_5", config("Ernie4_5Config", **HEADS)),
    Family(
        "ernie4_5_moe",
        config("Ernie4_5_MoeConfig", **SIZES, moe_num_experts=4, moe_intermediate_size=32, moe_num_shared_experts=2),
    ),
    Family("minicpm3", config("MiniCPM3Config", **SIZES, **LATENT)),
    Family("deepseek_v3", config("DeepseekV3Config", **SIZES, **LATENT, **ROUTED, num_experts_per_tok=2, n_group=1)),
    Family("glm4_moe", config("Glm4MoeConfig", **HEADS, **ROUTED, num_experts_per_tok=2, use_qk_norm=True)),
    Family("glm", config("GlmConfig", **HEADS, attention_bias=True)),
    Family("stablelm", config("StableLmConfig", **SIZES, use_qkv_bias=True)),
    Family("stablelm_parallel", config("StableLmConfig", **SIZES, use_parallel_residual=True, qk_layernorm=True)),
    Family("olmo", config("OlmoConfig", **SIZES)),
    Family("olmo3", config("Olmo3Config", **SIZES)),
    Family("nemotron", config("NemotronConfig", **HEADS)),
    Family("qwen2_moe", config("Qwen2MoeConfig", **SIZES, **EXPERTS, num_experts=4, decoder_sparse_step=2)),
    Family("granitemoe", config("GraniteMoeConfig", **SIZES, **EXPERTS, num_local_experts=4)),
    Family(
        "granitemoehybrid",
        config(
            "GraniteMoeHybridConfig", **SIZES, **STATES, **EXPERTS, num_local_experts=4, shared_intermediate_size=48,
            layer_types=["linear_attention", "full_attention"],
        ),
    ),
    Family("granite4_dense", config("GraniteMoeHybridConfig", **SIZES, **STATES, num_local_experts=0)),
    Family("lfm2_moe", config("Lfm2MoeConfig", **SIZES, **EXPERTS, num_experts=4, moe_intermediate_size=32,
                              num_dense_layers=1, layer_types=["conv", "full_attention"])),
    Family("ministral", config("MinistralConfig", **HEADS)),
    Family("mistral3", config("Mistral3Config", text_config=HEADS | {"model_type": "mistral"},
                              vision_config=EYES | {"model_type": "pixtral"})),
    Family("gpt_neox_plain", config("GPTNeoXConfig", **EQUAL_HEADS, attention_bias=False)),
)  # fmt: skip
ALL = [family for family in (*FAMILIES, *HARD, *MORE) if family.name not in UNCOUNTED]


# peft reaches into routed experts and towers by rules of its own; layers that Mamba's kernels pass by get no adapter
# (tuners/lora).
OTHERWISE = {
    "deepseek_v3", "ernie4_5_moe", "falcon_h1", "gemma3_with_eyes", "glm4_moe", "gpt_oss", "granite4_dense",
    "granitemoe", "granitemoehybrid", "hunyuan_v1_moe", "jamba", "lfm2_moe", "llama4", "mamba", "mistral3", "mixtral",
    "phimoe", "qwen2_moe", "qwen3_moe", "qwen3_next",
}  # fmt: skip
ORDINARY = [family for family in ALL if family.name not in OTHERWISE]
RANK = 4  # of families.adapted


def counted(configuration: Any) -> int:
    """The numbers of the model, shared ones once; nothing is allocated."""
    import torch
    from transformers import AutoModelForCausalLM, AutoModelForImageTextToText

    seeing = hasattr(configuration, "vision_config")
    with torch.device("meta"):
        model = (AutoModelForImageTextToText if seeing else AutoModelForCausalLM).from_config(configuration)
    model.tie_weights()
    return sum(weight.numel() for weight in model.parameters())


@pytest.mark.parametrize("family", ALL, ids=lambda family: family.name)
def test_derived_parameters_are_exact(family: Family) -> None:
    configuration = family.config()
    facts = from_config(configuration.to_dict())
    assert facts.parameters == counted(configuration)
    assert facts.known


WITH_EXPERTS = [family for family in ALL if family.name in ADAPTED_EXPERTS]


@pytest.mark.parametrize("family", [*ORDINARY, *WITH_EXPERTS], ids=lambda family: family.name)
def test_the_weights_of_an_adapter_are_those_that_are_planned(family: Family) -> None:
    """Beside routed experts too, which peft adapts by rules of its own."""
    trained = sum(weight.numel() for name, weight in adapted(family).named_parameters() if "lora_" in name)
    assert trained == adapter_parameters(from_config(family.config().to_dict()), RANK)


@pytest.mark.parametrize("model_type", DEFAULTS)
def test_defaults_are_those_of_transformers(model_type: str) -> None:
    from transformers import AutoConfig

    there = AutoConfig.for_model(model_type).to_dict()
    assert DEFAULTS[model_type] == tuple(there[name] for name in NAMES)


def test_that_was_many_families() -> None:
    assert len(ALL) >= 50
    assert len(ORDINARY) >= 30
    assert len(WITH_EXPERTS) >= 7


@pytest.mark.parametrize("family", [family for family in HARD if family.name in UNCOUNTED], ids=lambda f: f.name)
def test_a_count_that_is_a_guess_says_so(family: Family) -> None:
    assert not from_config(family.config().to_dict()).known
