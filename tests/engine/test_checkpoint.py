"""Checkpoints that something happened to: told of, never loaded, the one before is used."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
import stopped
from stopped import Another, Told

from tunesmith.daemon.api import events as e
from tunesmith.daemon.worker.context import Context
from tunesmith.daemon.worker.data import prepare
from tunesmith.daemon.worker.train import checkpoint
from tunesmith.recipes.errors import JobError

pytestmark = pytest.mark.usefixtures("one_thread")


def test_damaged_checkpoints_are_told_of_and_never_used(
    tiny_model: Path, tmp_path: Path, another: Another, told: Told
) -> None:
    values = stopped.parts(tiny_model, tmp_path, epochs=2)
    (whole,) = stopped.chain(another(values), None)
    expected = stopped.weights(whole)
    (first,) = stopped.chain(another(values), 9)
    assert sorted(path.name for path in first.checkpoints.iterdir()) == ["step-6", "step-8"]
    flip(first.checkpoints / "step-8" / "optimizer.pt")
    second = Context(first.job, 2)
    second.base = first.base
    stopped.attempt(second, end_after=9)
    assert [event.step for event in told(second) if isinstance(event, e.Resumed)] == [6]
    warnings = [event.text for event in told(second) if isinstance(event, e.Notice) and event.level == "warning"]
    assert any("step-8 is damaged" in text for text in warnings)
    (second.checkpoints / "step-6" / "rng_state.pth").unlink()
    flip(second.checkpoints / "step-8" / "checkpoint.json")
    third = Context(first.job, 3)
    third.base = first.base
    stopped.attempt(third)
    assert min(stopped.losses(told(third))) == 1
    assert any("begins at the first step" in event.text for event in told(third) if isinstance(event, e.Notice))
    assert stopped.weights(third) == expected


def test_a_recipe_that_was_shrunk_goes_on_from_the_checkpoint_and_says_that_it_is_not_exact(
    tiny_model: Path, tmp_path: Path, another: Another, told: Told
) -> None:
    (first,) = stopped.chain(another(stopped.parts(tiny_model, tmp_path, epochs=1, window=None)), 3)
    second = Context(first.job, 2)
    second.base = first.base
    training = msgspec.structs.replace(second.spec.training, window=48, gradient_checkpointing="full")
    second.spec = msgspec.structs.replace(second.spec, training=training)
    stopped.attempt(second)
    assert [event.step for event in told(second) if isinstance(event, e.Resumed)] == [2]
    texts = [event.text for event in told(second) if isinstance(event, e.Notice)]
    (text,) = (text for text in texts if "is not exact to the bit" in text)
    assert "packing was windows of at most 160 tokens" in text and "activations was kept and is computed again" in text
    assert max(stopped.losses(told(second))) == 6


def test_a_recipe_that_learns_otherwise_does_not_go_on(tiny_model: Path, tmp_path: Path, another: Another) -> None:
    (first,) = stopped.chain(another(stopped.parts(tiny_model, tmp_path, epochs=1)), 3)
    second = Context(first.job, 2)
    second.base = first.base
    second.spec = msgspec.structs.replace(second.spec, quantization="nf4")
    prepare.run(second)
    with pytest.raises(JobError, match="The recipe is not what it was"):
        checkpoint.newest(second)


def flip(path: Path) -> None:
    """One bit in the middle."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
