"""AdamW with both moments in 8 bits, quantized a block at a time."""

from __future__ import annotations

from tunesmith.recipes.optimizers import Optimizer

# Two bytes a weight and, for each moment, a float32 scale a block of 256; tensors below 4096 weights keep float32.
STATE_BYTES = 2 * (1 + 4 / 256)

CARD = Optimizer(
    key="adamw_8bit",
    title="AdamW, 8 bit",
    blurb="A quarter of AdamW's state; worth it when many weights are trained.",
    source="Dettmers et al. 2022, arXiv:2110.02861; through bitsandbytes",
    name="adamw_bnb_8bit",
    state_bytes=STATE_BYTES,
    devices=("cuda", "cpu"),
    package="bitsandbytes",
)
