"""AdamW: two float32 moments a weight, updated in one fused pass over each tensor."""

from __future__ import annotations

from tunesmith.recipes.optimizers import Optimizer

CARD = Optimizer(
    key="adamw",
    title="AdamW",
    blurb="The usual choice; its state is as large as two float32 copies of what is trained.",
    source="Loshchilov and Hutter 2019, arXiv:1711.05101; torch, fused",
    name="adamw_torch_fused",
    state_bytes=8,
    devices=("cuda", "mps", "cpu"),
)
