"""Products with a layer's weight, by the faster of the libraries that torch brings.

On an AMD processor with AVX-512 oneDNN does 330 to 430 GFLOP/s where the BLAS behind torch.mm does 160 to 200 (float32,
two cores, 168 to 256 tokens, SmolLM2-135M's layers); both compute in float32.
"""

from __future__ import annotations

from functools import cache

import torch

from tunesmith.recipes.planner.computed import filled_rows
from tunesmith.recipes.words import say

Tensor = torch.Tensor


@cache
def missing() -> str:
    """Why oneDNN cannot be used; empty when it can."""
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return say("without_onednn", "this torch was built without oneDNN")
    try:
        torch.ops.mkldnn._linear_pointwise.default(torch.ones(2, 3), torch.ones(4, 3), None, "none", [], "")
    except (AttributeError, RuntimeError, TypeError) as error:
        return say("onednn_refused", "oneDNN refused: {error}", error=str(error).splitlines()[0])
    return ""


def by_onednn(x: Tensor) -> bool:
    return x.device.type == "cpu" and x.dtype == torch.float32 and not missing()


def onednn(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """For each number of rows that it meets oneDNN keeps kernels of half a megabyte, so it meets few."""
    tokens = x.shape[0]
    if over := filled_rows(tokens) - tokens:
        x = torch.nn.functional.pad(x, (0, 0, 0, over))
    return torch.ops.mkldnn._linear_pointwise.default(x, weight, bias, "none", [], "")[:tokens]  # type: ignore[no-any-return]


def transposed(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x (tokens, inputs), weight (outputs, inputs) -> x weightT + bias, (tokens, outputs)."""
    if by_onednn(x):
        return onednn(x, weight, bias)
    return torch.mm(x, weight.t()) if bias is None else torch.addmm(bias, x, weight.t())


def straight(x: Tensor, weight: Tensor) -> Tensor:
    """x (tokens, outputs), weight (outputs, inputs) -> x weight, (tokens, inputs)."""
    return onednn(x, weight.t()) if by_onednn(x) else torch.mm(x, weight)


def added(total: Tensor, x: Tensor, weight: Tensor) -> Tensor:
    """total (tokens, inputs) + x weight, in place."""
    return total.add_(onednn(x, weight.t())) if by_onednn(x) else total.addmm_(x, weight)


def outer(gradient: Tensor, x: Tensor) -> Tensor:
    """gradient (tokens, outputs), x (tokens, inputs) -> that of the weight, gradientT x (outputs, inputs)."""
    if not by_onednn(x):
        return torch.mm(gradient.t(), x)
    tokens = x.shape[0]
    if over := filled_rows(tokens) - tokens:  # here the tokens are summed over: zeros add nothing
        x = torch.nn.functional.pad(x, (0, 0, 0, over))
        gradient = torch.nn.functional.pad(gradient, (0, 0, 0, over))
    return torch.ops.mkldnn._linear_pointwise.default(gradient.t().contiguous(), x.t(), None, "none", [], "")  # type: ignore[no-any-return]
