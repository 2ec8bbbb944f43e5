"""Products with weights are the plain ones, whichever library computes them."""

from __future__ import annotations

from typing import Any

import pytest

from tunesmith.daemon.worker.kernels import products

TOKENS = [1, 31, 32, 33, 100]


def pair(tokens: int, inputs: int, outputs: int, dtype: str) -> tuple[Any, Any]:
    import torch

    torch.manual_seed(tokens)
    kind = getattr(torch, dtype)
    return torch.randn(tokens, inputs).to(kind), torch.randn(outputs, inputs).to(kind)


def near(found: Any, expected: Any, dtype: str) -> bool:
    import torch

    tolerance = {"float32": 1e-6, "bfloat16": 1e-2}[dtype]
    assert found.dtype == getattr(torch, dtype) and found.is_contiguous()
    return bool((found.double() - expected).norm() <= tolerance * expected.norm())


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("tokens", TOKENS)
def test_they_are_the_products_in_64_bits_up_to_rounding(tokens: int, dtype: str) -> None:
    import torch

    x, weight = pair(tokens, 48, 80, dtype)
    g, total = torch.randn(tokens, 80).to(x.dtype), torch.randn(tokens, 48).to(x.dtype)
    bias = torch.randn(80).to(x.dtype)
    onward, back = x.double() @ weight.double().t(), g.double() @ weight.double()
    assert near(products.transposed(x, weight), onward, dtype)
    assert near(products.transposed(x, weight, bias), onward + bias.double(), dtype)
    assert near(products.outer(g, x), g.double().t() @ x.double(), dtype)
    assert near(products.straight(g, weight), back, dtype)
    assert near(products.added(total.clone(), g, weight), total.double() + back, dtype)


def test_the_same_numbers_give_the_same_bits() -> None:
    """A resumed run ends in the weights of one that was left alone."""
    import torch

    x, weight = pair(70, 48, 80, "float32")
    first = products.transposed(x, weight)
    assert all(torch.equal(products.transposed(x.clone(), weight.clone()), first) for _ in range(20))


def test_without_onednn_they_are_torch_s(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(products, "missing", lambda: "not here")
    x, weight = pair(33, 48, 80, "float32")
    assert torch.equal(products.transposed(x, weight), torch.mm(x, weight.t()))
    assert torch.equal(products.straight(x @ weight.t(), weight), torch.mm(x @ weight.t(), weight))
