"""Two hundred steps of our trainer and of a plain loop: the same loss at every step."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import families
import plain
import pytest

from tunesmith.daemon.worker import load
from tunesmith.daemon.worker.packing.windows import Row
from tunesmith.daemon.worker.train.paths import build
from tunesmith.daemon.worker.train.set_up import arguments
from tunesmith.recipes import methods
from tunesmith.recipes.spec import JobSpec, TrainingSpec

STEPS = 200
BATCH = 8
LOSS = 1e-4  # largest difference, in nats, at any step: a learning rate 1e-4 of itself too high gives twice as much
RATE = 1e-3
WARMUP = TrainingSpec().warmup_fraction
NAMES = ("llama", "qwen2", "qwen3", "gemma3", "mistral", "phi", "mixtral")
Steps = list[list[Row]]


@pytest.fixture(scope="module")
def steps() -> Steps:
    """Few rows, seen again and again: they are learnt by heart, so that the curve falls."""
    import numpy as np

    rows = plain.rows(24, vocabulary=families.VOCABULARY, seed=11, shortest=6, longest=32)
    random = np.random.default_rng(0)
    return [[rows[place] for place in random.permutation(len(rows))[:BATCH]] for _ in range(STEPS)]


def trained(model: Any, steps: Steps, tokenizer: Any, folder: Path, **training: Any) -> list[float]:
    """The losses of the method card's trainer, made as the train stage makes it."""
    from torch.utils.data import DataLoader

    values: dict[str, Any] = {"learning_rate": RATE, "batch_size": BATCH, "device": "cpu", "window": 96} | training
    spec = JobSpec(training=TrainingSpec(**values))
    core = build(model, training=spec.training, device="cpu", pad_token_id=0)

    def data(collate: Callable[[list[Row]], Any]) -> Any:
        rows = [row for step in steps for row in step]
        return DataLoader(rows, batch_size=BATCH, collate_fn=collate)  # type: ignore[arg-type]

    trainer = methods.cards()["sft"].trainer(
        model, tokenizer, data, arguments(spec, "cpu", False, str(folder)), {}, [], core
    )
    trainer.train()
    core.unfuse()
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


def assert_same(ours: list[float], theirs: list[float]) -> None:
    assert len(ours) == len(theirs) == STEPS
    off = [abs(one - two) for one, two in zip(ours, theirs, strict=True)]
    assert max(off) < LOSS, f"step {off.index(max(off)) + 1} is off by {max(off):.1e} nats"
    assert theirs[-1] < theirs[0] - 0.5, "something was learnt"


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_curve_is_the_plain_loop_s(name: str, steps: Steps, starter_tokenizer_folder: Path, tmp_path: Path) -> None:
    (family,) = (family for family in families.FAMILIES if family.name == name)
    tokenizer = load.tokenizer(starter_tokenizer_folder)
    theirs = plain.losses(families.adapted(family), steps, count=STEPS, warmup=WARMUP, learning_rate=RATE)
    for packing in (True, False) if name == "llama" else (True,):
        assert_same(trained(families.adapted(family), steps, tokenizer, tmp_path, packing=packing), theirs)


@pytest.mark.slow
def test_with_every_weight_trained_the_curve_is_the_plain_loop_s(
    steps: Steps, starter_tokenizer_folder: Path, tmp_path: Path
) -> None:
    (family,) = (family for family in families.FAMILIES if family.name == "llama")
    tokenizer = load.tokenizer(starter_tokenizer_folder)
    theirs = plain.losses(families.base(family).train(), steps, count=STEPS, warmup=WARMUP, learning_rate=RATE)
    assert_same(trained(families.base(family).train(), steps, tokenizer, tmp_path), theirs)
