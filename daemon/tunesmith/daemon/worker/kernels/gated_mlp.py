"""The gated MLP down(act(gate(x)) * up(x)), its three LoRA layers and its activation in one.

Keeps gate and up only; the activation and the product are computed again in backward, which costs less than the memory.
Source of the layer: Shazeer 2020, arXiv:2002.05202.
"""

from __future__ import annotations

from types import MethodType
from typing import Any

import torch

from tunesmith.daemon.worker.kernels import lora, products
from tunesmith.recipes.words import say

Tensor = torch.Tensor
PARTS = ("gate_proj", "up_proj", "down_proj")
ACTIVATIONS = {
    "SiLUActivation": "silu",
    "SiLU": "silu",
    "GELUTanh": "gelu_tanh",
}


def activation(module: Any) -> str:
    """The key of its activation; empty when it is none we know."""
    return ACTIVATIONS.get(type(getattr(module, "act_fn", None)).__name__, "")


def act(kind: str, x: Tensor) -> Tensor:
    if kind == "silu":
        return torch.nn.functional.silu(x)
    return torch.nn.functional.gelu(x, approximate="tanh")


def act_backward(kind: str, gradient: Tensor, x: Tensor) -> Tensor:
    if kind == "silu":
        return torch.ops.aten.silu_backward(gradient, x)  # type: ignore[no-any-return]
    return torch.ops.aten.gelu_backward(gradient, x, approximate="tanh")  # type: ignore[no-any-return]


class GatedProduct(torch.autograd.Function):
    """act(gate) * up; the activation is not kept."""

    @staticmethod
    def forward(ctx: Any, gate: Tensor, up: Tensor, kind: str) -> Any:
        ctx.save_for_backward(gate, up)
        ctx.kind = kind
        return act(kind, gate).mul_(up)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        gate, up = ctx.saved_tensors
        g = gradients[0]
        return act_backward(ctx.kind, g * up, gate), act(ctx.kind, gate).mul_(g), None


class GatedMlp(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, *rest: Any) -> Any:
        weights, (bases, scales, kind, keep) = rest[:6], rest[6:]
        dtype = lora.compute_dtype(x)
        flat = x.reshape(-1, x.shape[-1]).to(dtype)
        parts = adapters(weights, scales, dtype)
        dense = [lora.dense(base, dtype) for base in bases]
        gate, gate_middle = lora.forward(flat, dense[0], None, parts[0], flat)
        up, up_middle = lora.forward(flat, dense[1], None, parts[1], flat)
        hidden = act(kind, gate).mul_(up)
        y, down_middle = lora.forward(hidden, dense[2], None, parts[2], hidden)
        stored = [w if keep and w is not base.weight else None for w, base in zip(dense, bases, strict=True)]
        inputs, ctx.how = lora.remembered(x, flat)
        ctx.save_for_backward(*inputs, gate, up, gate_middle, up_middle, down_middle, *weights, *stored)
        ctx.bases, ctx.scales, ctx.kind, ctx.shape, ctx.dtype = bases, scales, kind, x.shape, x.dtype
        return y.view(*x.shape[:-1], y.shape[-1])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        saved = ctx.saved_tensors  # asked for once only: checkpointing forbids more
        *inputs, gate, up, gate_middle, up_middle, down_middle = saved[:8]
        rest = saved[8:]
        flat = lora.recalled(inputs, ctx.how)
        weights, stored = rest[:6], rest[6:]
        parts = adapters(weights, ctx.scales, flat.dtype)
        dense = [
            lora.dense(base, flat.dtype) if kept is None else kept for base, kept in zip(ctx.bases, stored, strict=True)
        ]
        g = gradients[0].reshape(-1, gradients[0].shape[-1]).to(flat.dtype)

        down_inner, down_db = lora.narrow(g, down_middle, parts[2])
        d_hidden = products.straight(g, dense[2]).addmm_(down_inner, parts[2].a)
        activated = act(ctx.kind, gate)
        down_da = torch.mm(down_inner.t(), activated * up)
        d_up = activated.mul_(d_hidden)
        d_gate = act_backward(ctx.kind, d_hidden.mul_(up), gate)

        gate_inner, gate_db = lora.narrow(d_gate, gate_middle, parts[0])
        up_inner, up_db = lora.narrow(d_up, up_middle, parts[1])
        gate_da, up_da = torch.mm(gate_inner.t(), flat), torch.mm(up_inner.t(), flat)
        dx = None
        if ctx.needs_input_grad[0]:
            dx = products.added(products.straight(d_gate, dense[0]), d_up, dense[1])
            dx.addmm_(gate_inner, parts[0].a).addmm_(up_inner, parts[1].a)
            dx = dx.view(ctx.shape).to(ctx.dtype)
        found = (gate_da, gate_db, up_da, up_db, down_da, down_db)
        return dx, *(f.to(w.dtype) for f, w in zip(found, weights, strict=True)), None, None, None, None


def adapters(weights: Any, scales: tuple[float, ...], dtype: torch.dtype) -> list[lora.Adapter]:
    """`weights`: a and b of gate, up and down."""
    pairs = zip(weights[::2], weights[1::2], scales, strict=True)
    return [lora.Adapter(a.to(dtype), b.to(dtype), scale, 0.0) for a, b, scale in pairs]


def refusal(module: Any) -> str:
    """Why the MLP `module` is not fused; empty when it can be."""
    if not activation(module):
        name = type(getattr(module, "act_fn", None)).__name__
        return say("activation", "its activation is {name}", name=name)
    for name in PARTS:
        layer = getattr(module, name)
        if isinstance(layer, torch.nn.Linear):
            continue
        if not hasattr(layer, "lora_A"):
            return say("part_is", "its {part} is a {name}", part=name, name=type(layer).__name__)
    return ""


def wholly(part: lora.Adapter, layer: Any) -> bool:
    """The one function for all three layers knows no dropout and no bias."""
    return not part.dropout and layer.base_layer.bias is None


def fuse(module: Any) -> None:
    """From here on the MLP `module` computes itself fused: wholly where LoRA is on all its layers, without dropout and
    biases; else its activation alone.
    """
    kind = activation(module)

    def fused(self: Any, x: Tensor) -> Any:
        layers = [getattr(self, name) for name in PARTS]
        fused_lora = [hasattr(layer, "lora_A") and "forward" in vars(layer) for layer in layers]
        parts = [lora.adapter(layer) if ours else None for layer, ours in zip(layers, fused_lora, strict=True)]
        if not all(part and wholly(part, layer) for part, layer in zip(parts, layers, strict=True)):
            gate, up, down = layers
            product = GatedProduct.apply(gate(x), up(x), kind)  # type: ignore[no-untyped-call]
            return down(product)
        weights = [weight for part in parts if part is not None for weight in (part.a, part.b)]
        scales = tuple(part.scale for part in parts if part is not None)
        bases = tuple(layer.base_layer for layer in layers)
        keep = getattr(layers[0], "recomputed", False)
        return GatedMlp.apply(x, *weights, bases, scales, kind, keep)  # type: ignore[no-untyped-call]

    module.forward = MethodType(fused, module)
