"""Full fine-tuning: every weight of the model is trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunesmith.recipes.tuners import Tuner


def attach(model: Any, knobs: Mapping[str, Any], seed: int) -> Any:
    """`model` itself, all of it trained."""
    return model.requires_grad_(True)


CARD = Tuner(
    key="full",
    title="Full fine-tuning",
    blurb="Trains every weight; needs the most memory, learns the most, forgets the most.",
    source="",
    merges=True,
    knobs=(),
    attach=attach,
    adapter=False,
    training_defaults={"learning_rate": 1e-5, "weight_decay": 0.1},
)
