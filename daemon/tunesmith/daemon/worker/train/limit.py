"""The matrix-product limit of this machine: how fast large products run, now, in the dtype that trains."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

SIZES = (512, 1024, 2048, 4096, 8192)  # rows of a square product; the largest that fits into the time says most
BUDGET_S = 0.3
PRODUCTS = 6  # of the largest size that fits; their median is the limit


def measure(device: str, dtype: Any) -> float:
    """Floating-point operations a second of the fastest library; takes at most about 0.3 s a library."""
    return max(by_library(device, dtype).values())


def by_library(device: str, dtype: Any) -> dict[str, float]:
    """Floating-point operations a second of a large square product, by each library that training may use.

    The dtype is torch's. Medians of several products.
    """
    import torch

    from tunesmith.daemon.worker.kernels import products

    rates = {"torch.mm": rate(device, dtype, torch.mm)}
    if products.by_onednn(torch.empty(0, dtype=dtype, device=device)):
        rates["oneDNN"] = rate(device, dtype, products.onednn)
    return rates


def rate(device: str, dtype: Any, product: Callable[[Any, Any], Any]) -> float:
    """Floating-point operations a second of `product`, of two square matrices as large as the time allows."""
    import torch

    def wait() -> None:
        """A CPU's product is done when it returns."""
        if device == "cuda":
            torch.cuda.synchronize()
        elif device == "mps":
            torch.mps.synchronize()

    began = time.perf_counter()
    rates = [0.0]
    for size in SIZES:
        operations = 2 * size**3
        left = BUDGET_S - (time.perf_counter() - began)
        # The first product of a size also fetches memory and chooses a kernel: it is not counted.
        if rates[0] and operations / statistics.median(rates) * (PRODUCTS + 2) > left:
            break
        left_factor = torch.randn(size, size, dtype=dtype, device=device)
        right_factor = torch.randn(size, size, dtype=dtype, device=device)
        product(left_factor, right_factor)
        wait()
        rates = []
        for _ in range(PRODUCTS):
            start = time.perf_counter()
            product(left_factor, right_factor)
            wait()
            rates.append(operations / (time.perf_counter() - start))
    return statistics.median(rates)
