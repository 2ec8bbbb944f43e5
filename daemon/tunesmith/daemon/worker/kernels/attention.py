"""Attention within the segments of a packed window: no token sees another sequence, and no padding is computed.

Registered with transformers as an attention function, so that every model that asks its registry can be packed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from importlib.util import find_spec
from typing import Any, NamedTuple

import torch

from tunesmith.daemon.worker.kernels import attention_cpu
from tunesmith.daemon.worker.kernels.attention_cpu import band, gathered, spread
from tunesmith.daemon.worker.packing.segments import Group, Segments
from tunesmith.recipes.words import Words, say

Tensor = torch.Tensor
NAME = "tunesmith"
# What a model may hand to attention that does not change its result. Whatever else it hands over (soft caps, sinks,
# chosen keys) we would have to compute as well, even where two short sequences do not show it.
HARMLESS = {
    "cache_position", "cu_seq_lens_k", "cu_seq_lens_q", "is_causal", "max_length_k", "max_length_q",
    "num_items_in_batch", "output_attentions", "output_hidden_states", "output_router_logits", "position_embeddings",
    "position_ids", "use_cache",
}  # fmt: skip


class CannotPack(Exception):
    """This model's attention asks for something packed attention does not compute."""

    def __init__(self, why: Words) -> None:
        super().__init__(why)
        self.why = why


class Backend(NamedTuple):
    """`attend(query, key, value, segments, scale, window)` over (tokens, heads, size) tensors returns the same.

    `missing(device, dtype)` says why it cannot be used here; empty when it can.
    """

    key: str
    missing: Callable[[str, torch.dtype], str]
    attend: Callable[[Tensor, Tensor, Tensor, Segments, float, int | None], Tensor]


class Pad(torch.autograd.Function):
    """(tokens, heads, size) -> (rows, longest, heads, size), zeros where there is no token."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, group: Group) -> Any:
        ctx.group = group
        return spread(x, group)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        return gathered(gradients[0], ctx.group), None


class Unpad(torch.autograd.Function):
    """The way back."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, group: Group) -> Any:
        ctx.group = group
        return gathered(x, group)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        return spread(gradients[0], ctx.group), None


def sdpa(query: Tensor, key: Tensor, value: Tensor, segments: Segments, scale: float, window: int | None) -> Tensor:
    """torch's scaled dot product, one call a group; padding lies behind a sequence's end, where no token looks."""
    outputs = []
    sizes = [group.tokens for group in segments.groups]
    split = (torch.split(tensor, sizes) for tensor in (query, key, value))
    for group, *parts in zip(segments.groups, *split, strict=True):
        q, k, v = (Pad.apply(part, group).transpose(1, 2) for part in parts)  # type: ignore[no-untyped-call]
        mask = band(group.longest, window, q.device) if window is not None and group.longest > window else None
        out = torch.nn.functional.scaled_dot_product_attention(
            q, k, v, attn_mask=mask, is_causal=mask is None, scale=scale, enable_gqa=q.shape[1] != k.shape[1]
        )
        outputs.append(Unpad.apply(out.transpose(1, 2), group))  # type: ignore[no-untyped-call]
    return outputs[0] if len(outputs) == 1 else torch.cat(outputs)


def span(window: int | None) -> tuple[int, int]:
    """What flash kernels call a window: tokens to the left (-1: all) and right."""
    return (-1 if window is None else window - 1, 0)


def torch_varlen(
    query: Tensor, key: Tensor, value: Tensor, segments: Segments, scale: float, window: int | None
) -> Tensor:
    from torch.nn.attention.varlen import varlen_attn

    ends, longest = segments.ends, segments.longest
    return varlen_attn(  # type: ignore[return-value]
        query, key, value, ends, ends, longest, longest,
        scale=scale, window_size=span(window), enable_gqa=query.shape[1] != key.shape[1],
    )  # fmt: skip


def flash_2(query: Tensor, key: Tensor, value: Tensor, segments: Segments, scale: float, window: int | None) -> Tensor:
    from flash_attn import flash_attn_varlen_func

    ends, longest = segments.ends, segments.longest
    return flash_attn_varlen_func(  # type: ignore[no-any-return]
        query, key, value, ends, ends, longest, longest, softmax_scale=scale, causal=True, window_size=span(window)
    )


def flash_3(query: Tensor, key: Tensor, value: Tensor, segments: Segments, scale: float, window: int | None) -> Tensor:
    from flash_attn_interface import flash_attn_varlen_func

    ends, longest = segments.ends, segments.longest
    found = flash_attn_varlen_func(
        query, key, value, ends, ends, longest, longest, softmax_scale=scale, causal=True, window_size=span(window)
    )
    return found[0] if isinstance(found, tuple) else found  # type: ignore[no-any-return]


def no_flash(device: str, dtype: torch.dtype, package: str, capability: int) -> str:
    """Why the flash kernels of `package` cannot be used; `capability` is the least major compute capability."""
    if device != "cuda":
        return say("cuda_kernel", "a CUDA kernel; this device is {device}", device=device)
    if dtype not in (torch.bfloat16, torch.float16):
        computed = str(dtype).removeprefix("torch.")
        return say("in_16_bits", "computes in 16 bits; this run in {dtype}", dtype=computed)
    if torch.cuda.get_device_capability()[0] < capability:
        return say("capability", "needs compute capability {number}", number=f"{capability}.0")
    if not package or find_spec(package):
        return ""
    return say("not_installed", "{package} is not installed", package=package)


def no_varlen(device: str, dtype: torch.dtype) -> str:
    if find_spec("torch.nn.attention.varlen") is None:
        return say("torch_lacks", "torch {version} does not have it", version=torch.__version__)
    return no_flash(device, dtype, "", 8)


# The fastest first.
BACKENDS = (
    Backend("flash-attn 3", lambda device, dtype: no_flash(device, dtype, "flash_attn_interface", 9), flash_3),
    Backend("flash-attn 2", lambda device, dtype: no_flash(device, dtype, "flash_attn", 8), flash_2),
    Backend("torch varlen", no_varlen, torch_varlen),
    Backend("CPU flash per segment", attention_cpu.missing, attention_cpu.attend),
    Backend("SDPA per segment", lambda device, dtype: "", sdpa),
)
_chosen: list[Backend] = [BACKENDS[-1]]


def choose(device: str, dtype: torch.dtype, leave_out: Collection[str] = ()) -> tuple[Backend, list[Words]]:
    """The fastest backend here from now on, and why each faster one is not it."""
    reasons = []
    for backend in BACKENDS:
        other = say("other_result", "gave another result here")
        missing = other if backend.key in leave_out else backend.missing(device, dtype)
        if not missing:
            _chosen[:] = [backend]
            break
        reasons.append(say("of_backend", "{name}: {why}", name=backend.key, why=missing))
    return _chosen[0], reasons


def packed_attention(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    scaling: float | None = None,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    segments: Segments | None = None,
    **others: Any,
) -> tuple[Tensor, None]:
    """query (1, heads, tokens, size) -> (1, tokens, heads, size) where `segments` are given, else SDPA."""
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    if segments is None:
        plain: tuple[Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, scaling=scaling, dropout=dropout, **others
        )
        return plain
    for name, given in others.items():
        if given is not None and name not in HARMLESS:
            raise CannotPack(say("attention_uses", "its attention uses {name}", name=name))
    if sliding_window is None and slides(module):
        raise CannotPack(say("no_window_said", "its attention does not say its sliding window"))
    if dropout:
        raise CannotPack(say("attention_dropout", "its attention has dropout"))
    if not getattr(module, "is_causal", True) or others.get("is_causal") is False:
        raise CannotPack(say("looks_ahead", "its attention looks ahead"))
    if query.shape[0] != 1 or query.shape[2] != segments.tokens or key.shape[2] != segments.tokens:
        raise CannotPack(say("not_whole_window", "its attention is not over the whole window"))
    scale = scaling if scaling is not None else query.shape[-1] ** -0.5
    q, k, v = (tensor[0].transpose(0, 1) for tensor in (query, key, value))
    if k.dtype != q.dtype or v.dtype != q.dtype:
        k, v = k.to(q.dtype), v.to(q.dtype)
    return _chosen[0].attend(q, k, v, segments, scale, sliding_window)[None], None


def slides(module: Any) -> bool:
    """Whether its configuration says that the layer sees a window only: seen by the mask, or by longer sequences."""
    config = getattr(module, "config", None)
    kinds = getattr(config, "layer_types", None)
    if kinds:
        return bool(kinds[module.layer_idx] == "sliding_attention")
    return getattr(config, "sliding_window", None) is not None


def register() -> None:
    """Makes `NAME` an attention implementation of transformers; without segments it is its SDPA."""
    from transformers import AttentionInterface
    from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

    AttentionInterface.register(NAME, packed_attention)
    AttentionMaskInterface.register(NAME, sdpa_mask)
