"""What config.json leaves unsaid: names, biases and norms that an architecture has by its code alone.

Source of each row: transformers 5.23, models/<model_type>/modeling_<model_type>.py; for `baichuan`, `exaone` and
`minicpm` the modeling file of their repositories.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import msgspec

Bias = bool | tuple[str, bool]  # fixed, or the config's key and what holds without it
BY_KEY: Bias = ("attention_bias", False)
SEPARATE = ("q_proj", "k_proj", "v_proj", "o_proj")


class Conventions(msgspec.Struct, frozen=True, kw_only=True):
    """`attention` are the names of query, key, value and output, or of one for the first three and output.

    `mlp` are gate, up and down; up and down without a gate; or with `fused_gate` one for gate and up, and down.
    `norms` are the vectors of hidden_size that a layer has; `norm_bias` doubles each. `qk_norm` is "head" for one of
    head_dim, "full" for the whole width, and counts only if `qk_norm_key` is set, where that is given. `slides` is how
    layers slide that have no layer_types: 0 not at all, 1 all of them, n all but each n-th; `window` is their default.
    `post_norms`: norms follow attention and MLP, none comes before. `written_means`: norms subtract the mean, computed
    by operations of their own. `parallel`: attention and MLP read the same. `wide` is intermediate_size / hidden_size
    where the config leaves it out.
    """

    attention: tuple[str, ...] = SEPARATE
    mlp: tuple[str, ...] = ("gate_proj", "up_proj", "down_proj")
    fused_gate: bool = False
    qkv_bias: Bias = False
    out_bias: Bias = False
    mlp_bias: Bias = False
    head_bias: Bias = False
    norms: int = 2
    norm_bias: bool = False
    qk_norm: str = ""
    qk_norm_key: str = ""
    outer_norms: int = 1
    tied: bool = False
    head_dim: int = 0
    slides: int = 0
    window: int = 0
    wide: int = 0
    learned_positions: bool = False
    post_norms: bool = False
    written_means: bool = False
    parallel: bool | tuple[str, bool] = False
    router_bias: bool = False
    router_correction: bool = False
    expert_bias: bool = False
    sinks: bool = False
    gated_query: bool = False
    shared_gate: bool = False


LLAMA = Conventions(qkv_bias=BY_KEY, out_bias=BY_KEY, mlp_bias=("mlp_bias", False))
QWEN3 = Conventions(qkv_bias=BY_KEY, out_bias=BY_KEY, qk_norm="head", head_dim=128)
GEMMA = Conventions(qkv_bias=BY_KEY, out_bias=BY_KEY, tied=True, head_dim=256)
GEMMA2 = msgspec.structs.replace(GEMMA, norms=4, slides=2, window=4096)
GEMMA3 = msgspec.structs.replace(GEMMA2, qk_norm="head", slides=6)
OLMO2 = Conventions(qkv_bias=BY_KEY, out_bias=BY_KEY, qk_norm="full", post_norms=True)
COHERE = Conventions(qkv_bias=BY_KEY, out_bias=BY_KEY, norms=1, written_means=True, parallel=True, tied=True)
DEEPSEEK = Conventions(qkv_bias=BY_KEY, out_bias=BY_KEY)
ERNIE = Conventions(qkv_bias=("use_bias", False), out_bias=("use_bias", False), mlp_bias=("use_bias", False), tied=True)
GRANITE_HYBRID = msgspec.structs.replace(LLAMA, mlp=("input_linear", "output_linear"), fused_gate=True, mlp_bias=False)

# Routed experts that peft adapts with their router when linear layers are targets: those whose weights transformers
# converts as it does Mixtral's, but for Qwen2-MoE's. Source: peft 0.21, utils/transformers_weight_conversion.py.
ADAPTED_EXPERTS = frozenset({
    "deepseek_v2", "deepseek_v3", "ernie4_5_moe", "glm4_moe", "hunyuan_v1_moe", "mixtral", "qwen3_moe", "qwen3_next",
})  # fmt: skip

KNOWN: Mapping[str, Conventions] = MappingProxyType({
    "baichuan": Conventions(attention=("W_pack", "o_proj")),
    "bloom": Conventions(
        attention=("query_key_value", "dense"), mlp=("dense_h_to_4h", "dense_4h_to_h"), qkv_bias=True, out_bias=True,
        mlp_bias=True, norm_bias=True, outer_norms=2, tied=True, wide=4,
    ),
    "cohere": COHERE,
    "cohere2": msgspec.structs.replace(COHERE, slides=4, window=4096),
    "deepseek_v2": DEEPSEEK,
    "deepseek_v3": DEEPSEEK,
    "ernie4_5": ERNIE,
    "ernie4_5_moe": msgspec.structs.replace(ERNIE, router_correction=True, head_bias=("use_bias", False)),
    "exaone": Conventions(attention=("q_proj", "k_proj", "v_proj", "out_proj"), mlp=("c_fc_0", "c_fc_1", "c_proj")),
    "exaone4": Conventions(qk_norm="head", post_norms=True, slides=4, window=4096),
    "falcon_h1": LLAMA,
    "gemma": GEMMA,
    "gemma2": GEMMA2,
    "gemma3_text": GEMMA3,
    "glm": Conventions(qkv_bias=BY_KEY, mlp=("gate_up_proj", "down_proj"), fused_gate=True, head_dim=128),
    "glm4": Conventions(
        qkv_bias=BY_KEY, mlp=("gate_up_proj", "down_proj"), fused_gate=True, norms=4, head_dim=128
    ),
    "glm4_moe": Conventions(qkv_bias=BY_KEY, qk_norm="head", qk_norm_key="use_qk_norm"),
    "gpt2": Conventions(
        attention=("c_attn", "c_proj"), mlp=("c_fc", "c_proj"), qkv_bias=True, out_bias=True, mlp_bias=True,
        norm_bias=True, tied=True, learned_positions=True, wide=4,
    ),
    "gpt_neox": Conventions(
        attention=("query_key_value", "dense"), mlp=("dense_h_to_4h", "dense_4h_to_h"),
        qkv_bias=("attention_bias", True), out_bias=("attention_bias", True), mlp_bias=True, norm_bias=True,
        parallel=("use_parallel_residual", True),
    ),
    "gpt_oss": Conventions(
        qkv_bias=("attention_bias", True), out_bias=("attention_bias", True), router_bias=True, expert_bias=True,
        sinks=True, head_dim=64, slides=2, window=128,
    ),
    "granite": LLAMA,
    "granitemoe": GRANITE_HYBRID,
    "granitemoehybrid": GRANITE_HYBRID,
    "granitemoeshared": GRANITE_HYBRID,
    "hunyuan_v1_dense": msgspec.structs.replace(LLAMA, qk_norm="head", mlp_bias=False),
    "hunyuan_v1_moe": msgspec.structs.replace(LLAMA, qk_norm="head", mlp_bias=False),
    "internlm3": msgspec.structs.replace(LLAMA, qkv_bias=("qkv_bias", False), out_bias=("bias", False),
                                         mlp_bias=("bias", False)),
    "jamba": Conventions(),
    "lfm2": Conventions(attention=("q_proj", "k_proj", "v_proj", "out_proj"), mlp=("w1", "w3", "w2"), qk_norm="head",
                        tied=True),
    "lfm2_moe": Conventions(attention=("q_proj", "k_proj", "v_proj", "out_proj"), mlp=("w1", "w3", "w2"),
                            qk_norm="head", tied=True),
    "llama": LLAMA,
    "llama4_text": msgspec.structs.replace(LLAMA, mlp_bias=False, head_dim=128),
    "mamba": Conventions(tied=True, norms=1),
    "minicpm": LLAMA,
    "minicpm3": msgspec.structs.replace(LLAMA, tied=True),
    "ministral": Conventions(slides=1, window=4096),
    "ministral3": Conventions(slides=1, head_dim=128),
    "mistral": Conventions(slides=1, window=4096),
    "mixtral": Conventions(slides=1),
    "nemotron": Conventions(
        mlp=("up_proj", "down_proj"), qkv_bias=BY_KEY, out_bias=BY_KEY, mlp_bias=("mlp_bias", False), norm_bias=True
    ),
    "olmo": msgspec.structs.replace(LLAMA, norms=0, outer_norms=0, mlp_bias=False),
    "olmo2": OLMO2,
    "olmo3": msgspec.structs.replace(OLMO2, slides=4, window=4096),
    "phi": Conventions(
        attention=("q_proj", "k_proj", "v_proj", "dense"), mlp=("fc1", "fc2"), qkv_bias=True, out_bias=True,
        mlp_bias=True, head_bias=True, norms=1, norm_bias=True, parallel=True,
    ),
    "phi3": Conventions(
        attention=("qkv_proj", "o_proj"), mlp=("gate_up_proj", "down_proj"), fused_gate=True, slides=1
    ),
    "phimoe": Conventions(qkv_bias=BY_KEY, out_bias=BY_KEY, norm_bias=True, head_bias=("lm_head_bias", False)),
    "qwen2": Conventions(qkv_bias=True),
    "qwen2_5_vl": Conventions(qkv_bias=True),
    "qwen2_5_vl_text": Conventions(qkv_bias=True),
    "qwen2_moe": Conventions(qkv_bias=("qkv_bias", True), shared_gate=True),
    "qwen3": QWEN3,
    "qwen3_moe": QWEN3,
    "qwen3_vl_text": QWEN3,
    "qwen3_next": msgspec.structs.replace(QWEN3, head_dim=256, gated_query=True, shared_gate=True),
    "seed_oss": Conventions(
        qkv_bias=("attention_bias", True), out_bias=("attention_out_bias", False), mlp_bias=("mlp_bias", False),
        head_dim=128,
    ),
    "smollm3": msgspec.structs.replace(LLAMA, tied=True),
    "stablelm": Conventions(
        qkv_bias=("use_qkv_bias", False), norm_bias=True, qk_norm="full", qk_norm_key="qk_layernorm",
        parallel=("use_parallel_residual", False),
    ),
    "starcoder2": Conventions(
        mlp=("c_fc", "c_proj"), qkv_bias=("use_bias", True), out_bias=("use_bias", True), mlp_bias=("use_bias", True),
        norm_bias=True, tied=True, slides=1,
    ),
})  # fmt: skip
