"""Cross entropy at labelled positions only, in chunks: the logits of a whole window never exist at once.

Its gradient is computed with the loss, while the logits are at hand. Source of the idea: Hsu et al. 2024,
arXiv:2410.10989 (fused linear cross entropy).
"""

from __future__ import annotations

from typing import Any

import torch

from tunesmith.daemon.worker.kernels import products
from tunesmith.recipes.planner import computed

Tensor = torch.Tensor


class LinearCrossEntropy(torch.autograd.Function):
    """hidden (labels, width), weight (vocabulary, width), targets (labels,) -> nats summed, right predictions."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor, wanted: Any) -> Any:
        needs_hidden, needs_weight, needs_bias = wanted
        summed = torch.zeros((), dtype=torch.float32, device=hidden.device)
        right = torch.zeros((), dtype=torch.int64, device=hidden.device)
        d_hidden = torch.empty_like(hidden) if needs_hidden else None
        d_weight: Tensor | None = None
        d_bias = torch.zeros_like(bias, dtype=torch.float32) if needs_bias and bias is not None else None
        rows = computed.logit_rows(hidden.device.type, weight.shape[0])
        for start in range(0, len(targets), rows):
            part, target = hidden[start : start + rows], targets[start : start + rows, None]
            logits = products.transposed(part, weight, bias).float()
            best, guess = logits.max(dim=-1, keepdim=True)
            right += (guess == target).sum()
            chosen = logits.gather(1, target)
            # Shifted by the largest, so that nothing overflows; in place, the logits are not needed again.
            total = logits.sub_(best).exp_().sum(dim=-1, keepdim=True)
            summed += (total.log() + best - chosen).sum()
            if not (needs_hidden or needs_weight or needs_bias):
                continue
            logits.div_(total).scatter_add_(1, target, torch.full_like(chosen, -1.0))
            gradient = logits.to(hidden.dtype)
            if d_hidden is not None:
                d_hidden[start : start + rows] = products.straight(gradient, weight)
            if needs_weight:
                of_part = products.outer(gradient, part).float()
                d_weight = of_part if d_weight is None else d_weight.add_(of_part)
            if d_bias is not None:
                d_bias += logits.sum(dim=0)
        ctx.save_for_backward(d_hidden, d_weight, d_bias)
        ctx.dtypes = weight.dtype, None if bias is None else bias.dtype
        ctx.mark_non_differentiable(right)
        return summed, right

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        d_hidden, d_weight, d_bias = ctx.saved_tensors
        g = gradients[0]
        return (
            None if d_hidden is None else d_hidden * g,
            None if d_weight is None else d_weight.mul_(g).to(ctx.dtypes[0]),
            None if d_bias is None else d_bias.mul_(g).to(ctx.dtypes[1]),
            None,
            None,
        )


def linear_cross_entropy(hidden: Tensor, head: Any, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Nats summed over `targets` (labels,) of the next token, and how many were predicted right.

    `hidden` (labels, width) goes through the linear layer `head`.
    """
    weight, bias = head.weight.to(hidden.dtype), None if head.bias is None else head.bias.to(hidden.dtype)
    wanted = (False, False, False)
    if torch.is_grad_enabled():
        wanted = (hidden.requires_grad, weight.requires_grad, bias is not None and bias.requires_grad)
    return LinearCrossEntropy.apply(hidden, weight, bias, targets, wanted)  # type: ignore[no-untyped-call,no-any-return]


def cross_entropy(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """The same from `logits` (labels, vocabulary), for heads that are more than a linear layer."""
    summed = torch.nn.functional.cross_entropy(logits.float(), targets, reduction="sum")
    return summed, (logits.argmax(dim=-1) == targets).sum()
