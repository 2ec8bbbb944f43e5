"""What planning counts of activations is what backward keeps, family by family, with kernels and without."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from families import FAMILIES, Family, base, with_adapter

from tunesmith.daemon.worker.train import gradient_checkpointing, paths
from tunesmith.recipes.models import from_config
from tunesmith.recipes.planner import activations
from tunesmith.recipes.planner.activations import Computing
from tunesmith.recipes.spec import TrainingSpec

LENGTH = 96
# Of some, details are not counted: only a part of each head turns (phi, gpt_neox), routing of its own (phimoe).
NEAR, WITH_DETAILS = 0.01, {"phi": 0.02, "gpt_neox": 0.02, "phimoe": 0.02}


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
    model = base(family)
    model = with_adapter(model) if tuner == "lora" else model.requires_grad_(True).train()
    core = paths.build(model, training=TrainingSpec(fused=fused), device="cpu", pad_token_id=0)
    measured = gradient_checkpointing.measure(core, LENGTH).total([])
    facts = from_config(family.config().to_dict(), family.name)
    rank = 4 if tuner == "lora" else 0
    how = Computing(rank=rank, fused=fused, length=LENGTH)
    planned = activations.kept(facts, how).window(1, 1, facts.layers, 0)
    assert planned == pytest.approx(measured, rel=WITH_DETAILS.get(family.name, NEAR))
