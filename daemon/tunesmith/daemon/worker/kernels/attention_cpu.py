"""Attention within segments by torch's own flash kernel for CPUs, keeping nothing twice.

Autograd over the plain call keeps padded copies, and of grouped-query keys and values a copy for every query head. Here
backward gets queries, keys, values and outputs as they lie in the window, without padding, and spreads them again.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch

from tunesmith.daemon.worker.packing.segments import Group, Segments
from tunesmith.recipes.words import say

Tensor = torch.Tensor
OPERATIONS = ("_scaled_dot_product_flash_attention_for_cpu", "_scaled_dot_product_flash_attention_for_cpu_backward")


def missing(device: str, dtype: torch.dtype) -> str:
    """Why it cannot be used; empty when it can."""
    if device != "cpu":
        return say("cpu_kernel", "a CPU kernel; this device is {device}", device=device)
    if not all(hasattr(torch.ops.aten, name) for name in OPERATIONS):
        return say("torch_lacks", "torch {version} does not have it", version=torch.__version__)
    return ""


def spread(x: Tensor, group: Group) -> Tensor:
    """(tokens, heads, size) -> (rows, longest, heads, size), zeros where there is no token."""
    if group.slots is None:
        return x.reshape(group.rows, group.longest, *x.shape[1:])
    out = x.new_zeros(group.rows * group.longest, *x.shape[1:])
    return out.index_copy_(0, group.slots, x).view(group.rows, group.longest, *x.shape[1:])


def gathered(x: Tensor, group: Group) -> Tensor:
    """(rows, longest, heads, size) -> (tokens, heads, size)."""
    flat = x.reshape(group.rows * group.longest, *x.shape[2:])
    return flat if group.slots is None else flat.index_select(0, group.slots)


@lru_cache(maxsize=64)
def band(length: int, window: int, device: Any) -> Tensor:
    """(length, length): True where a token sees another, itself and the `window - 1` before it."""
    back = torch.arange(length, device=device)[:, None] - torch.arange(length, device=device)[None]
    return (back >= 0) & (back < window)


def mask_of(group: Group, window: int | None, like: Tensor) -> Tensor | None:
    """What is added to the scores beyond causality; None where every sequence fits into the window."""
    if window is None or group.longest <= window:
        return None
    seen = band(group.longest, window, like.device)
    return torch.zeros(seen.shape, dtype=like.dtype).masked_fill_(~seen, float("-inf"))


def heads(x: Tensor, group: Group, times: int) -> Tensor:
    """(tokens, heads, size) -> (rows, heads * times, longest, size), each head `times` over."""
    out = spread(x, group).transpose(1, 2)
    return out if times == 1 else out.repeat_interleave(times, dim=1)


class CpuFlash(torch.autograd.Function):
    """query (tokens, heads, size), key and value (tokens, key heads, size) -> (tokens, heads, size)."""

    @staticmethod
    def forward(
        ctx: Any, query: Tensor, key: Tensor, value: Tensor, segments: Segments, scale: float, window: int | None
    ) -> Any:
        times = query.shape[1] // key.shape[1]
        outputs, sums = [], []
        sizes = [group.tokens for group in segments.groups]
        split = (torch.split(tensor, sizes) for tensor in (query, key, value))
        for group, q, k, v in zip(segments.groups, *split, strict=True):
            mask = mask_of(group, window, query)
            out, logsumexp = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
                heads(q, group, 1), heads(k, group, times), heads(v, group, times),
                0.0, mask is None, attn_mask=mask, scale=scale,
            )  # fmt: skip
            outputs.append(gathered(out.transpose(1, 2), group))
            sums.append(logsumexp)
        result = outputs[0] if len(outputs) == 1 else torch.cat(outputs)
        result = result.contiguous()
        ctx.save_for_backward(query, key, value, result, *sums)
        ctx.segments, ctx.scale, ctx.window = segments, scale, window
        return result

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        query, key, value, result, *sums = ctx.saved_tensors
        times = query.shape[1] // key.shape[1]
        sizes = [group.tokens for group in ctx.segments.groups]
        split = (torch.split(tensor, sizes) for tensor in (query, key, value, result, gradients[0]))
        found: list[list[Tensor]] = [[], [], []]
        for group, logsumexp, q, k, v, out, g in zip(ctx.segments.groups, sums, *split, strict=True):
            mask = mask_of(group, ctx.window, query)
            parts = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward(
                heads(g, group, 1), heads(q, group, 1), heads(k, group, times), heads(v, group, times),
                heads(out, group, 1), logsumexp, 0.0, mask is None, attn_mask=mask, scale=ctx.scale,
            )  # fmt: skip
            for place, (part, many) in enumerate(zip(parts, (1, times, times), strict=True)):
                if many > 1:  # the gradients of a key head's copies add up
                    part = part.unflatten(1, (-1, many)).sum(dim=2)
                found[place].append(gathered(part.transpose(1, 2), group))
        return *(one[0] if len(one) == 1 else torch.cat(one) for one in found), None, None, None


def attend(query: Tensor, key: Tensor, value: Tensor, segments: Segments, scale: float, window: int | None) -> Tensor:
    return CpuFlash.apply(query, key, value, segments, scale, window)  # type: ignore[no-untyped-call,no-any-return]
