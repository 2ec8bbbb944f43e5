"""What planning counts of activations is what backward keeps, family by family, with kernels and without."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from families import FAMILIES, Family, base, with_adapter

from tunesmith.daemon.worker.train import gradient_checkpointing, paths
from tunesmith.daemon.worker.train.core import Core
from tunesmith.recipes.models import from_config
from tunesmith.recipes.planner import activations
from tunesmith.recipes.planner.activations import FLOAT32, Computing
from tunesmith.recipes.spec import TrainingSpec

LENGTH = 96
# Of some, details are not counted: only a part of each head turns (phi, gpt_neox), routing of its own (phimoe).
NEAR, WITH_DETAILS = 0.01, {"phi": 0.02, "gpt_neox": 0.02, "phimoe": 0.02}
# Where norms of heads, partial angles or routing decide what is converted, only float32 is counted so closely.
PLAINLY_CONVERTED = {
    "llama", "llama_tied_bias", "qwen2", "gemma", "mistral", "phi3", "phi3_sliding", "phi", "starcoder2", "granite",
    "cohere2", "smollm3",
}  # fmt: skip
IN_16_BITS = [family for family in FAMILIES if family.name in PLAINLY_CONVERTED]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Products this small take longer on many threads, minutes where others compute too."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("fused", [True, False], ids=["fused", "plain"])
@pytest.mark.parametrize("tuner", ["lora", "full"])
@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_planned_activations_are_those_that_backward_keeps(family: Family, tuner: str, fused: bool) -> None:
    core = core_of(base(family), tuner, fused)
    measured = gradient_checkpointing.measure(core, LENGTH).total([])
    assert planned(family, tuner, fused) == pytest.approx(measured, rel=WITH_DETAILS.get(family.name, NEAR))


@pytest.mark.parametrize("fused", [True, False], ids=["fused", "plain"])
@pytest.mark.parametrize("tuner", ["lora", "full"])
@pytest.mark.parametrize("family", IN_16_BITS, ids=lambda family: family.name)
def test_planned_activations_are_those_of_a_step_in_16_bits(family: Family, tuner: str, fused: bool) -> None:
    """As a GPU computes it: a frozen base in bfloat16, what is trained in float32 under autocast."""
    import torch

    model = base(family)
    core = core_of(model.bfloat16() if tuner == "lora" else model, tuner, fused)
    with torch.autocast("cpu", torch.bfloat16):
        measured = gradient_checkpointing.measure(core, LENGTH).total([])
    assert planned(family, tuner, fused, width=2) == pytest.approx(measured, rel=0.02)


def core_of(model: Any, tuner: str, fused: bool) -> Core:
    model = with_adapter(model) if tuner == "lora" else model.requires_grad_(True).train()
    return paths.build(model, training=TrainingSpec(fused=fused), device="cpu", pad_token_id=0)


def planned(family: Family, tuner: str, fused: bool, width: int = FLOAT32) -> float:
    facts = from_config(family.config().to_dict(), family.name)
    how = Computing(width=width, rank=4 if tuner == "lora" else 0, fused=fused, length=LENGTH)
    return activations.kept(facts, how).window(1, 1, facts.layers, 0)
