"""AdamW in 8 bits whose state moves to the host's memory when the GPU's is full."""

from __future__ import annotations

from tunesmith.recipes.optimizers import Optimizer
from tunesmith.recipes.optimizers.adamw_8bit import STATE_BYTES

CARD = Optimizer(
    key="paged_adamw_8bit",
    title="AdamW, 8 bit, paged",
    blurb="As AdamW in 8 bits; its state leaves the GPU while a peak of activations needs the room.",
    source="Dettmers et al. 2023, arXiv:2305.14314; through bitsandbytes",
    name="paged_adamw_8bit",
    state_bytes=STATE_BYTES,
    devices=("cuda",),  # elsewhere bitsandbytes takes the one without pages
    package="bitsandbytes",
)
