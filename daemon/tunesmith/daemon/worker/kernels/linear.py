"""A linear layer whose own weights are trained: forward and both gradients by the faster library."""

from __future__ import annotations

from collections.abc import Iterator
from types import MethodType
from typing import Any

import torch

from tunesmith.daemon.worker.kernels import products
from tunesmith.daemon.worker.kernels.lora import recalled, remembered
from tunesmith.recipes.words import say

Tensor = torch.Tensor


class Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Any:
        flat = x.reshape(-1, x.shape[-1])
        inputs, ctx.how = remembered(x, flat)
        ctx.save_for_backward(*inputs, weight)
        ctx.shape = x.shape
        return products.transposed(flat, weight, bias).view(*x.shape[:-1], weight.shape[0])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        *inputs, weight = ctx.saved_tensors
        g = gradients[0].reshape(-1, gradients[0].shape[-1])
        dx = products.straight(g, weight).view(ctx.shape) if ctx.needs_input_grad[0] else None
        dw = products.outer(g, recalled(inputs, ctx.how)) if ctx.needs_input_grad[1] else None
        return dx, dw, g.sum(dim=0) if ctx.needs_input_grad[2] else None


def missing(device: str) -> str:
    """Why it cannot be used on `device`; empty when it can."""
    if device == "cpu":
        return products.missing()
    return say("mm_fastest", "the library behind torch.mm is the fastest there")


def candidates(model: Any) -> Iterator[Any]:
    """Layers that are trained themselves, without the head, which the loss computes."""
    if hasattr(model, "peft_config"):
        return
    head = model.get_output_embeddings()
    yield from (module for module in model.modules() if type(module) is torch.nn.Linear and module is not head)


def refusal(module: Any) -> str:
    """Why the linear layer `module` is not fused; empty when it can be."""
    if module.weight.dtype != torch.float32:
        dtype = str(module.weight.dtype).removeprefix("torch.")
        return say("stored_in", "it is in {dtype}", dtype=dtype)
    return "" if module.weight.requires_grad else say("not_trained", "it is not trained")


def fuse(module: Any) -> None:
    """From here on `module` computes itself so; `del module.forward` undoes it."""

    def fused(self: Any, x: Tensor) -> Any:
        if torch.is_autocast_enabled(x.device.type) or x.dtype != self.weight.dtype:
            return type(self).forward(self, x)
        return Linear.apply(x, self.weight, self.bias)  # type: ignore[no-untyped-call]

    module.forward = MethodType(fused, module)
