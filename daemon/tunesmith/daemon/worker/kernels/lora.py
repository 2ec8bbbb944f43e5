"""LoRA fused with its linear layer: no extra full-size products, scalings or additions, forward or backward.

Source of the mathematics: Hu et al. 2021, arXiv:2106.09685. The gradient of the layer's input is accumulated by the
matrix products themselves, and the adapter's scale is applied to its narrow side.
"""

from __future__ import annotations

from types import MethodType
from typing import Any, NamedTuple

import torch

from tunesmith.daemon.worker.kernels import products
from tunesmith.recipes.words import say

Tensor = torch.Tensor


class Adapter(NamedTuple):
    """The one active adapter of a layer: a (rank, inputs), b (outputs, rank), its scale alpha / rank and dropout."""

    a: Tensor
    b: Tensor
    scale: float
    dropout: float


def refusal(module: Any) -> str:
    """Why the LoRA layer `module` is not fused; empty when it can be."""
    if type(module).__module__ not in ("peft.tuners.lora.layer", "peft.tuners.lora.bnb"):
        return say("not_lora", "{name} is not plain LoRA", name=type(module).__name__)
    base = module.base_layer
    if type(base).__name__ not in ("Linear", "Linear4bit") or getattr(base, "in_features", 0) == 0:
        return say("base_is", "its base is a {name}", name=type(base).__name__)
    if len(module.active_adapters) != 1 or module.active_adapters[0] not in module.lora_A:
        return say("one_adapter", "it has not exactly one active adapter")
    name = module.active_adapters[0]
    if getattr(module, "lora_variant", {}).get(name) is not None:
        return say("lora_variant", "it is a variant of LoRA")
    if module.fan_in_fan_out or module.lora_B[name].bias is not None:
        return say("laid_out", "its weights are laid out otherwise")
    if base.weight.requires_grad:
        return say("base_trained", "its base is trained too")
    return ""


def adapter(module: Any) -> Adapter | None:
    """None while the adapter is switched off or merged."""
    if module.disable_adapters or module.merged:
        return None
    name = module.active_adapters[0]
    dropout = getattr(module.lora_dropout[name], "p", 0.0) if module.training else 0.0
    return Adapter(module.lora_A[name].weight, module.lora_B[name].weight, module.scaling[name], dropout)


def compute_dtype(x: Tensor) -> torch.dtype:
    kind = x.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype


def dense(base: Any, dtype: torch.dtype) -> Tensor:
    """The weight (outputs, inputs) of a linear layer in `dtype`, dequantized where it is stored in 4 bits."""
    weight = base.weight
    if hasattr(weight, "quant_state"):
        import bitsandbytes

        weight = bitsandbytes.functional.dequantize_4bit(weight.data, weight.quant_state)
    return weight.to(dtype)  # type: ignore[no-any-return]


def forward(x: Tensor, weight: Tensor, bias: Tensor | None, part: Adapter, adapted: Tensor) -> tuple[Tensor, Tensor]:
    """x (tokens, inputs) -> (tokens, outputs), and the adapter's narrow middle (tokens, rank).

    `adapted` is what the adapter reads: x, or x after dropout.
    """
    y = products.transposed(x, weight, bias)
    middle = torch.mm(adapted, part.a.t())
    return y.addmm_(middle, part.b.t(), alpha=part.scale), middle


def narrow(gradient: Tensor, middle: Tensor, part: Adapter) -> tuple[Tensor, Tensor]:
    """From the outputs' gradient: that of the middle (tokens, rank), and that of b.

    Both products read the large gradient row by row: the other order is three times slower on CPUs.
    """
    inner = torch.mm(gradient, part.b.t().contiguous().t()).mul_(part.scale)
    return inner, torch.mm(middle.t(), gradient).mul_(part.scale).t()


def remembered(x: Tensor, flat: Tensor) -> tuple[Any, Any]:
    """What backward keeps of a layer's input: itself, or, of a normed one, how it came about."""
    how, tensors = getattr(x, "normed", (None, ()))
    if how is None or flat.dtype != x.dtype:
        return (flat, None, None), None
    how.readers += 1
    return tensors, how


def recalled(tensors: Any, how: Any) -> Tensor:
    """The input (tokens, inputs) again."""
    return tensors[0] if how is None else how.again(*tensors)  # type: ignore[no-any-return]


class LoraLinear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, a: Tensor, b: Tensor, base: Any, scale: float, dropout: float, keep: bool) -> Any:
        dtype = compute_dtype(x)
        flat = x.reshape(-1, x.shape[-1]).to(dtype)
        part = Adapter(a.to(dtype), b.to(dtype), scale, dropout)
        weight = dense(base, dtype)
        bias = None if base.bias is None else base.bias.to(dtype)
        mask = None
        adapted = flat
        if dropout:
            adapted, mask = torch.native_dropout(flat, dropout, True)
        y, middle = forward(flat, weight, bias, part, adapted)
        # A dequantized weight is worth keeping only where backward follows at once: in a recomputed layer.
        stored = weight if keep and weight is not base.weight else None
        inputs, ctx.how = remembered(x, flat)
        ctx.save_for_backward(*inputs, part.a, part.b, middle, mask, stored)
        ctx.base, ctx.scale, ctx.dropout = base, scale, dropout
        ctx.shape, ctx.dtypes = x.shape, (x.dtype, a.dtype, b.dtype)
        return y.view(*x.shape[:-1], y.shape[-1])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        *inputs, a, b, middle, mask, stored = ctx.saved_tensors
        flat = recalled(inputs, ctx.how)
        part = Adapter(a, b, ctx.scale, ctx.dropout)
        g = gradients[0].reshape(-1, gradients[0].shape[-1]).to(flat.dtype)
        inner, db = narrow(g, middle, part)
        share = 1.0 / (1.0 - ctx.dropout) if mask is not None else 1.0
        adapted = flat if mask is None else (flat * mask).mul_(share)
        da = torch.mm(inner.t(), adapted)
        dx = None
        if ctx.needs_input_grad[0]:
            dx = products.straight(g, dense(ctx.base, flat.dtype) if stored is None else stored)
            if mask is None:
                dx.addmm_(inner, a)
            else:
                dx.addcmul_(torch.mm(inner, a), mask.to(flat.dtype), value=share)
            dx = dx.view(ctx.shape).to(ctx.dtypes[0])
        return dx, da.to(ctx.dtypes[1]), db.to(ctx.dtypes[2]), None, None, None, None


def fuse(module: Any) -> None:
    """From here on the LoRA layer `module` computes itself fused; `del module.forward` undoes it."""

    def fused(self: Any, x: Tensor, *arguments: Any, **named: Any) -> Any:
        part = adapter(self)
        if part is None or arguments or named:
            return type(self).forward(self, x, *arguments, **named)
        keep = getattr(self, "recomputed", False)
        weights = (part.a, part.b, self.base_layer)
        return LoraLinear.apply(x, *weights, part.scale, part.dropout, keep)  # type: ignore[no-untyped-call]

    module.forward = MethodType(fused, module)
