"""No quantization: the base is loaded in the dtype that trains."""

from __future__ import annotations

from typing import Any

from tunesmith.recipes.quants import Quant


def config(dtype: Any) -> None:
    return None


CARD = Quant(
    key="none",
    title="No quantization",
    blurb="The base as it is, in the dtype that trains.",
    source="",
    bytes_a_weight=None,
    devices=("cuda", "mps", "cpu"),
    config=config,
)
