"""Adafactor: the second moment of a matrix as one number a row and one a column, no first moment."""

from __future__ import annotations

from tunesmith.recipes.optimizers import Optimizer

CARD = Optimizer(
    key="adafactor",
    title="Adafactor",
    blurb="Next to no state; learns a little slower than AdamW at the same rate.",
    source="Shazeer and Stern 2018, arXiv:1804.04235; through transformers, with the recipe's learning rate",
    name="adafactor",
    state_bytes=0.01,  # rows + columns of rows * columns: 8 bytes / 1000 for a matrix of 1000 by 1000
    devices=("cuda", "mps", "cpu"),
)
