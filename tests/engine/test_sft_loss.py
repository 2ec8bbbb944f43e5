"""The loss on labelled positions is the plain model's own loss, and so are its gradients."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tunesmith.daemon.worker import load
from tunesmith.recipes.methods.sft import labelled_loss


@pytest.fixture
def batch() -> dict[str, Any]:
    """Two rows of different length; labels in different places, one on padding's edge."""
    import torch

    return {
        "input_ids": torch.tensor([[5, 6, 7, 8, 9, 10], [11, 12, 13, 14, 2, 2]]),
        "attention_mask": torch.tensor([[1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 0, 0]]),
        "labels": torch.tensor([[-100, -100, -100, 8, 9, -100], [-100, 12, -100, 14, -100, -100]]),
    }


def test_it_equals_the_model_s_own_loss_and_gradients(tiny_model: Path, batch: dict[str, Any]) -> None:
    import torch

    model = load.model(tiny_model, "cpu", torch.float32)
    plain = model(**batch).loss
    plain.backward()
    expected = {name: weight.grad.clone() for name, weight in model.named_parameters()}
    model.zero_grad()

    ours, outputs = labelled_loss(model, batch)
    ours.backward()

    assert ours.item() == pytest.approx(plain.item(), abs=1e-5)
    assert outputs.logits.shape[1] == 3, "positions whose next token nobody is trained on have no logits"
    for name, weight in model.named_parameters():
        off = (weight.grad - expected[name]).abs().max() / expected[name].abs().max()
        assert off < 1e-5, f"{name} is off by {off:.1e} of its largest gradient"


def test_an_accumulated_step_is_divided_by_all_its_labels(tiny_model: Path, batch: dict[str, Any]) -> None:
    import torch

    model = load.model(tiny_model, "cpu", torch.float32)
    whole, _ = labelled_loss(model, batch)
    halves = [
        labelled_loss(model, {key: value[row : row + 1] for key, value in batch.items()}, torch.tensor(4))[0]
        for row in range(2)
    ]
    assert sum(half.item() for half in halves) == pytest.approx(whole.item(), abs=1e-5)
