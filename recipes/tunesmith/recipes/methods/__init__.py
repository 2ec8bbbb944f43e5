"""Methods: what the loss is and what data it wants. One file a card."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, Protocol

import msgspec

from tunesmith.recipes import catalog
from tunesmith.recipes.fields import Field

Row = tuple[Any, Any]
Data = Callable[[Callable[[Sequence[Row]], Any]], Any]


class Core(Protocol):
    """What computes a step, the same for every method: the worker's training core."""

    def step(self, rows: Sequence[Row]) -> Any:
        """A list of windows over `rows`, with the sums `tokens`, `positions` (padding counted) and `labels`."""

    def summed_loss(self, window: Any) -> tuple[Any, Any]:
        """Cross entropy in nats summed over a window's labels (differentiable), and how many were predicted right."""

    def flops(self, step: Any) -> float:
        """Useful floating-point operations of a step, forward and backward."""


class Method(msgspec.Struct, frozen=True):
    """`trainer(model, tokenizer, data, arguments, knobs, callbacks, core)` builds a trl trainer; it runs in a worker
    only.

    `data(collate)` is a torch DataLoader that collates the rows of one optimizer step: pairs of ids (length,) int32 and
    mask (length,) bool, True where a token is trained. `arguments` are trainer arguments. A trainer logs the sums
    num_tokens, num_positions, num_labels, num_right and num_flops since it began.

    `sequences` of a row are computed (2 for a chosen and a rejected answer); with `reference` the model as it was
    before training is asked about them too: the one below an adapter, else a copy of its own.
    """

    key: str
    title: str
    blurb: str
    source: str
    data_shape: str
    example: str
    knobs: tuple[Field, ...]
    trainer: Callable[[Any, Any, Data, Mapping[str, Any], Mapping[str, Any], list[Any], Core], Any]
    sequences: int = 1
    reference: bool = False


@cache
def cards() -> Mapping[str, Method]:
    return catalog.load(__name__, Method)
