"""Model families made small from their configurations, every detail of their mathematics made to count."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

VOCABULARY = 160
SIZES = {
    "vocab_size": VOCABULARY,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "initializer_range": 0.15,  # so that attention and logits are far from uniform
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
HEADS = SIZES | {"head_dim": 16}
EQUAL_HEADS = SIZES | {"num_key_value_heads": 4}


class Family(NamedTuple):
    """`packs`: sequences laid end to end can be computed exactly, so they must be; else padding is the right way."""

    name: str
    config: Callable[[], Any]
    packs: bool = True


def config(kind: str, **values: Any) -> Callable[[], Any]:
    """A maker of transformers' `kind` of configuration."""

    def make() -> Any:
        import transformers

        return getattr(transformers, kind)(**values)

    return make


EXPERTS = {"num_experts_per_tok": 2, "router_aux_loss_coef": 0.0}
UNDROPPED = {"attn_pdrop": 0.0, "embd_pdrop": 0.0, "resid_pdrop": 0.0, "bos_token_id": 1, "eos_token_id": 2}
EYES = {
    "hidden_size": 32,
    "intermediate_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "image_size": 28,
    "patch_size": 14,
}
DELTA = {
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 4,
    "linear_key_head_dim": 16,
    "linear_value_head_dim": 16,
}

FAMILIES = (
    Family("llama", config("LlamaConfig", **SIZES)),
    Family("llama_tied_bias", config("LlamaConfig", **SIZES, tie_word_embeddings=True, attention_bias=True)),
    Family("qwen2", config("Qwen2Config", **SIZES)),
    Family("qwen3", config("Qwen3Config", **HEADS)),
    Family("gemma", config("GemmaConfig", **HEADS)),
    Family(
        "gemma2",  # soft caps on attention scores and on logits
        config("Gemma2Config", **HEADS, sliding_window=9, attn_logit_softcapping=5.0, final_logit_softcapping=4.0),
        False,
    ),
    Family(
        "gemma3",
        config(
            "Gemma3TextConfig", **HEADS, sliding_window=9, layer_types=["sliding_attention", "full_attention"]
        ),
    ),
    Family(
        "gemma3_with_eyes",  # as the larger ones come: only its language model is trained
        config(
            "Gemma3Config",
            text_config=HEADS | {"sliding_window": 9, "layer_types": ["sliding_attention", "full_attention"]},
            vision_config=EYES,
        ),
    ),
    Family("mistral", config("MistralConfig", **HEADS, sliding_window=9)),
    Family("phi3", config("Phi3Config", **SIZES, sliding_window=None)),
    Family("phi3_sliding", config("Phi3Config", **SIZES, sliding_window=9)),
    Family("phi", config("PhiConfig", **EQUAL_HEADS, partial_rotary_factor=0.5)),
    Family("mixtral", config("MixtralConfig", **SIZES, **EXPERTS, num_local_experts=4)),
    Family(
        "qwen3_moe", config("Qwen3MoeConfig", **HEADS, **EXPERTS, num_experts=4, moe_intermediate_size=32)
    ),
    Family(
        "phimoe",  # whose routers are linear layers with an output of their own
        config("PhimoeConfig", **SIZES, **EXPERTS, num_local_experts=4, router_jitter_noise=0.0),
    ),
    Family("olmo2", config("Olmo2Config", **SIZES)),
    Family("gpt_neox", config("GPTNeoXConfig", **EQUAL_HEADS)),
    Family("starcoder2", config("Starcoder2Config", **SIZES, sliding_window=9)),
    Family(
        "granite",  # multipliers on embeddings, residuals, attention and logits
        config(
            "GraniteConfig", **SIZES, embedding_multiplier=3.0, residual_multiplier=0.5, logits_scaling=2.0,
            attention_multiplier=0.2,
        ),
    ),
    Family("cohere2", config("Cohere2Config", **SIZES, sliding_window=9, logit_scale=0.25)),
    Family("glm4", config("Glm4Config", **HEADS)),
    Family("smollm3", config("SmolLM3Config", **SIZES, no_rope_layers=[1, 0])),
    Family(
        "gpt2",
        config("GPT2Config", vocab_size=VOCABULARY, n_embd=64, n_layer=2, n_head=4, n_positions=256, **UNDROPPED),
    ),
)  # fmt: skip

# Their layers carry a state, or scores that no per-sequence attention call computes: packing is refused or exact.
HARD = (
    Family("gpt_oss", config("GptOssConfig", **HEADS, **EXPERTS, num_local_experts=4, sliding_window=9), False),
    Family("bloom", config("BloomConfig", vocab_size=VOCABULARY, hidden_size=64, n_layer=2, n_head=4), False),
    Family(
        "qwen3_next",
        config(
            "Qwen3NextConfig", **HEADS, **EXPERTS, **DELTA, num_experts=4, moe_intermediate_size=32,
            shared_expert_intermediate_size=32, layer_types=["linear_attention", "full_attention"],
        ),
        False,
    ),
    Family("lfm2", config("Lfm2Config", **SIZES, layer_types=["conv", "full_attention"]), False),
    Family(
        "jamba",
        config(
            "JambaConfig", **SIZES, num_experts=2, num_experts_per_tok=1, attn_layer_period=2, attn_layer_offset=1,
            mamba_d_state=8, mamba_dt_rank=8,
        ),
        False,
    ),
    Family("llama4", config("Llama4TextConfig", **HEADS, num_local_experts=4, intermediate_size_mlp=96), False),
    Family("mamba", config("MambaConfig", vocab_size=VOCABULARY, hidden_size=64, num_hidden_layers=2), False),
    Family(
        "falcon_h1",
        config(
            "FalconH1Config", **SIZES, mamba_d_ssm=64, mamba_n_heads=4, mamba_d_head=16, mamba_n_groups=1,
            mamba_d_state=8,
        ),
        False,
    ),
    Family("recurrent_gemma", config("RecurrentGemmaConfig", **HEADS, lru_width=64, attention_window_size=9), False),
)  # fmt: skip


def base(family: Family) -> Any:
    """The family's model in float32, in eval mode; norms and biases are moved off the values they start with."""
    import torch
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(family.config(), dtype=torch.float32).eval()
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() == 1:
                weight.add_(0.1 * torch.randn_like(weight))
    return model


def adapted(family: Family, *, dropout: float = 0.0) -> Any:
    return with_adapter(base(family), dropout=dropout)


def with_adapter(base: Any, *, dropout: float = 0.0) -> Any:
    """With a LoRA adapter of rank 4 on every linear layer, its B random instead of zero: every gradient is real."""
    import torch

    from tunesmith.recipes.tuners import cards

    model = cards()["lora"].attach(base, {"rank": 4, "alpha": 8, "dropout": dropout}, 0)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight.copy_(0.05 * torch.randn_like(weight))
    return model.train()
