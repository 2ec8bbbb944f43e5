"""Rotary position embedding without concatenations, keeping cosine and sine only: backward turns the other way.

Source: Su et al. 2021, arXiv:2104.09864, in the half-split layout of transformers' models.
"""

from __future__ import annotations

import sys
from typing import Any

import torch

Tensor = torch.Tensor
NAME = "apply_rotary_pos_emb"


def turn(x: Tensor, cosine: Tensor, sine: Tensor, sign: float) -> Tensor:
    """x (..., size) turned by the angles in the direction of `sign`."""
    half = x.shape[-1] // 2
    out = x * cosine
    out[..., :half].addcmul_(x[..., half:], sine[..., :half], value=-sign)
    out[..., half:].addcmul_(x[..., :half], sine[..., half:], value=sign)
    return out


class Rotary(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, cosine: Tensor, sine: Tensor) -> Any:
        ctx.save_for_backward(cosine, sine)
        return turn(query, cosine, sine, 1.0), turn(key, cosine, sine, 1.0)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        cosine, sine = ctx.saved_tensors
        query, key = (turn(gradient, cosine, sine, -1.0) for gradient in gradients)
        return query, key, None, None


def rotary(q: Tensor, k: Tensor, cos: Tensor, sin: Tensor, unsqueeze_dim: int = 1) -> tuple[Tensor, Tensor]:
    """q, k (rows, heads, tokens, size), cos, sin (rows, tokens, size): both turned."""
    cosine, sine = cos.unsqueeze(unsqueeze_dim), sin.unsqueeze(unsqueeze_dim)
    if q.dtype != cosine.dtype or k.dtype != cosine.dtype:
        cosine, sine = cosine.to(q.dtype), sine.to(q.dtype)
    return Rotary.apply(q, k, cosine, sine)  # type: ignore[no-untyped-call,no-any-return]


def home(model: Any) -> Any:
    """The module of the attention layers' class, whose function is theirs; None when it has none."""
    for module in model.modules():
        if type(module).__name__.endswith("Attention"):
            found = sys.modules[type(module).__module__]
            if hasattr(found, NAME):
                return found
    return None
