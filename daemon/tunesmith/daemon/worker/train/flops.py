"""Useful floating-point operations of a training step: the matrix products the mathematics needs, nothing else.

Padding, logits without a label and anything computed twice (checkpointing) do not count, so that the same rows are
the same work however they are computed. A multiply-add is two operations.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

# Layers whose input is the block's own: below the first trained one no gradient of that input is wanted.
FIRST = frozenset({"q_proj", "k_proj", "v_proj", "qkv_proj", "query_key_value", "c_attn", "Wqkv"})
ATTENTION = frozenset({"full_attention", "sliding_attention", "chunked_attention", "attention", "hybrid"})
ACTIVE_EXPERTS = ("num_experts_per_tok", "num_experts_per_token", "moe_topk", "top_k_experts")
ALL_EXPERTS = ("num_local_experts", "num_experts", "n_routed_experts")


class Attention(msgspec.Struct, frozen=True):
    """Layers that attend alike: `window` keys back at most (None: all), within `chunk` tokens (None: no chunks).

    `per_pair` are the operations of one query and key in all these layers, forward and backward.
    """

    window: int | None
    chunk: int | None
    per_pair: int


class Summary(msgspec.Struct, frozen=True):
    """What a model costs to train: operations, forward and backward, for each token and each labelled token."""

    per_token: float
    per_label: int
    attention: tuple[Attention, ...]


def useful(summary: Summary, lengths: Sequence[int], labels: int) -> float:
    """Operations of a step over sequences of `lengths` tokens with `labels` labelled tokens in all."""
    attended = sum(kind.per_pair * sum(pairs(length, kind) for length in lengths) for kind in summary.attention)
    return summary.per_token * sum(lengths) + summary.per_label * labels + attended


def pairs(length: int, kind: Attention) -> int:
    """Queries and keys that causal attention over `length` tokens compares."""
    if kind.chunk is not None and length > kind.chunk:
        whole, rest = divmod(length, kind.chunk)
        return whole * triangle(kind.chunk) + triangle(rest)
    if kind.window is not None and length > kind.window:
        return triangle(kind.window) + (length - kind.window) * kind.window
    return triangle(length)


def triangle(length: int) -> int:
    return length * (length + 1) // 2


def summarize(model: Any) -> Summary:
    """`model` as operations: a transformers causal language model, bare or with adapters.

    A linear layer of i inputs and o outputs costs 2io a token forward, 2io for its input's gradient where anything
    before it is trained, 2io for its weight's gradient where that is trained. Attention's two products cost twice
    their forward again in backward (Korthikanti et al. 2022, arXiv:2205.05198, appendix A, without recomputation).
    A layer that reads the same as its attention (parallel blocks) counts as after it. Mixtures count the active
    experts; where a configuration does not say how many those are, none.
    """
    config = model.config.get_text_config()
    head = model.get_output_embeddings()
    embedding = model.get_input_embeddings()
    before = any(parameter.requires_grad for parameter in embedding.parameters())
    per_token = 0.0
    backward: dict[int, bool] = {}
    for layer, modules in layers(model, apart=(head, embedding)):
        inside = False
        for parts, module in modules:
            first = not FIRST.isdisjoint(parts)
            for operations, trained in products(module, parts, config):
                # A low-rank B follows its A: the gradient of what is between them is wanted whenever A is trained.
                through = before or (inside and not first) or (trained and "lora_B" in parts)
                per_token += operations * (1 + through + trained)
                inside = inside or trained
            backward[layer] = before or inside if first else backward.get(layer, before)
        before = before or inside
    per_label = 0
    if head is not None:
        size = 2 * head.in_features * head.out_features
        per_label = size * (1 + before + any(parameter.requires_grad for parameter in head.parameters()))
    return Summary(per_token, per_label, attention(config, backward))


def layers(model: Any, apart: Sequence[Any]) -> list[tuple[int, list[tuple[list[str], Any]]]]:
    """Modules by layer in the order they are reached, with their paths; what is in no layer comes with the one before.

    Within a layer what reads its input comes first: some families define their output projection before it.
    """
    found: dict[int, list[tuple[list[str], Any]]] = {}
    layer = -1
    for path, module in model.named_modules():
        parts = path.split(".")
        layer = next((int(part) for part in parts if part.isdigit()), layer)
        if not any(module is other for other in apart):
            found.setdefault(layer, []).append((parts, module))
    for modules in found.values():
        modules.sort(key=lambda entry: FIRST.isdisjoint(entry[0]))
    return sorted(found.items())


def products(module: Any, parts: Sequence[str], config: Any) -> list[tuple[float, bool]]:
    """Matrix products of `module` itself: operations a token forward, and whether the weight is trained."""
    import torch
    from transformers.pytorch_utils import Conv1D

    share = routed(parts, config)
    if isinstance(module, torch.nn.Linear):
        # Not the weight's own shape: a quantized one is packed.
        return [(2.0 * module.in_features * module.out_features * share, module.weight.requires_grad)]
    if isinstance(module, Conv1D):  # GPT-2's linear layer
        return [(2.0 * module.weight.numel(), module.weight.requires_grad)]
    found = []
    for name, parameter in module.named_parameters(recurse=False):
        experts = parameter.dim() == 3 and "experts" in parts and not name.endswith("bias")
        router = parameter.dim() == 2 and type(module).__name__.endswith("Router") and name == "weight"
        if experts:
            active = known(config, ACTIVE_EXPERTS) or 0
            found.append((2.0 * parameter.numel() / parameter.shape[0] * active, parameter.requires_grad))
        elif router:
            found.append((2.0 * parameter.numel(), parameter.requires_grad))
    return found


def routed(parts: Sequence[str], config: Any) -> float:
    """The share of tokens that a linear layer sees: below 1 for one of a mixture's experts, or an adapter on them."""
    if "experts" not in parts:
        return 1.0
    active, experts = known(config, ACTIVE_EXPERTS), known(config, ALL_EXPERTS)
    return active / experts if active and experts else 0.0


def known(config: Any, names: Sequence[str]) -> int | None:
    return next((int(value) for name in names if (value := getattr(config, name, None)) is not None), None)


def attention(config: Any, backward: dict[int, bool]) -> tuple[Attention, ...]:
    """The softmax attention of every layer, like with like; `backward` says of which layers a gradient is wanted."""
    heads = known(config, ["num_attention_heads"])
    if not heads:
        return ()
    size = known(config, ["head_dim"]) or config.hidden_size // heads
    keys = known(config, ["qk_head_dim"]) or size
    values = known(config, ["v_head_dim"]) or size
    window, chunk = known(config, ["sliding_window"]), known(config, ["attention_chunk_size"])
    default = "full_attention" if window is None else "sliding_attention"
    kinds = getattr(config, "layer_types", None) or getattr(config, "layers_block_type", None)
    totals: dict[tuple[int | None, int | None], int] = {}
    for layer in range(config.num_hidden_layers):
        kind = kinds[layer] if kinds else default
        if kind not in ATTENTION:
            continue
        reach = (window if kind == "sliding_attention" else None, chunk if kind == "chunked_attention" else None)
        forward = 2 * heads * (keys + values)
        totals[reach] = totals.get(reach, 0) + forward * (3 if backward.get(layer) else 1)
    return tuple(Attention(*reach, per_pair) for reach, per_pair in totals.items())
