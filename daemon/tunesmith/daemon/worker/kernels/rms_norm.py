"""Root-mean-square normalisation that keeps its input and one number a token, and writes each full-size tensor once.

Source: Zhang and Sennrich 2019, arXiv:1910.07467. Computed in float32 whatever the input's dtype, as transformers does.
"""

from __future__ import annotations

from types import MethodType
from typing import Any

import torch

from tunesmith.recipes.words import say

Tensor = torch.Tensor


class Normed:
    """How a normed tensor came about: who needs it in backward keeps x and a number a token, and makes it again.

    Several layers that read the same tensor share what the first of them makes.
    """

    def __init__(self, offset: float, narrow_first: bool) -> None:
        self.offset, self.narrow_first = offset, narrow_first
        self.readers = 0
        self._made: Tensor | None = None

    def again(self, x: Tensor, weight: Tensor, scale: Tensor) -> Tensor:
        """(tokens, width), the very numbers of the first time."""
        made = self._made
        if made is None:
            made = normed(x, weight, scale, self.offset, self.narrow_first).reshape(-1, x.shape[-1])
        self.readers -= 1
        self._made = made if self.readers > 0 else None
        return made


def normed(x: Tensor, weight: Tensor, scale: Tensor, offset: float, narrow_first: bool) -> Tensor:
    factor = weight.float() + offset if offset else weight
    normal = x.float() * scale
    # Llama rounds before its weight is applied, Gemma after.
    y = normal.to(x.dtype).mul(factor) if narrow_first and x.dtype != torch.float32 else normal.mul_(factor)
    return y.to(torch.promote_types(x.dtype, weight.dtype) if narrow_first else x.dtype)


class RmsNorm(torch.autograd.Function):
    """x (..., width), weight (width,) -> the normed x, and what each token was multiplied by (..., 1)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, epsilon: float, offset: float, narrow_first: bool) -> Any:
        wide = x.float()
        scale = torch.linalg.vector_norm(wide, dim=-1, keepdim=True).square_().div_(x.shape[-1])
        scale = scale.add_(epsilon).rsqrt_()
        ctx.save_for_backward(x, weight, scale)
        ctx.offset = offset
        ctx.mark_non_differentiable(scale)
        return normed(x, weight, scale, offset, narrow_first), scale

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        x, weight, scale = ctx.saved_tensors
        g, wide = gradients[0].float(), x.float()
        factor = weight.float() + ctx.offset if ctx.offset else weight.float()
        dw = None
        if ctx.needs_input_grad[1]:
            dw = (g * wide).mul_(scale).reshape(-1, x.shape[-1]).sum(dim=0).to(weight.dtype)
        weighted = g * factor
        share = torch.linalg.vecdot(weighted, wide).unsqueeze(-1).mul_(scale.pow(3)).div_(-x.shape[-1])
        dx = weighted.mul_(scale).addcmul_(wide, share)
        return dx.to(x.dtype), dw, None, None, None


def epsilon(module: Any) -> float:
    return float(getattr(module, "variance_epsilon", getattr(module, "eps", 1e-6)))


def refusal(module: Any) -> str:
    weight = getattr(module, "weight", None)
    if isinstance(weight, Tensor) and weight.dim() == 1:
        return ""
    return say("no_such_weight", "it has no weight of one dimension")


def fuse(module: Any) -> None:
    """From here on the norm `module` computes itself fused. Its kind, weight or 1 + weight, is found by trying."""
    offset = gemma_offset(module)

    def fused(self: Any, x: Tensor) -> Any:
        y, scale = RmsNorm.apply(x, self.weight, epsilon(self), offset, not offset)  # type: ignore[no-untyped-call]
        # The tensors are held by y, which is gone by then, and by what autograd saves: checkpointing can drop them.
        y.normed = Normed(offset, not offset), (x, self.weight, scale)
        return y

    module.forward = MethodType(fused, module)


@torch.no_grad()
def gemma_offset(module: Any) -> float:
    """What the norm adds to its weight: 1 or 0, seen from what it makes of ones."""
    ones = torch.ones(1, module.weight.shape[0], dtype=module.weight.dtype, device=module.weight.device)
    off = (type(module).forward(module, ones).float() - module.weight.float()).abs().mean()
    return 1.0 if off > 0.5 else 0.0
