"""A step by the training core beside the same step by the plain model, for tests that say they are equal."""

from __future__ import annotations

from typing import Any

import families
import plain
import pytest

from tunesmith.daemon.api.events import PathTaken
from tunesmith.daemon.worker.packing.windows import Row, Step
from tunesmith.daemon.worker.train.paths import build
from tunesmith.recipes.spec import TrainingSpec

LOSS = 1e-5  # largest difference, in nats
GRADIENT = 1e-5  # largest norm of the difference over the norm, for every tensor that trains
ROWS = plain.rows(6, vocabulary=families.VOCABULARY) + plain.odd_rows(families.VOCABULARY)
PACKABLE = [family for family in families.FAMILIES if family.packs]
Gradients = dict[str, Any]


def named(*names: str) -> list[families.Family]:
    return [family for family in families.FAMILIES if family.name in names]


def each(chosen: list[families.Family]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("family", chosen, ids=lambda family: family.name)


def expected(model: Any, rows: list[Row] = ROWS) -> tuple[float, Gradients]:
    return plain.step(model, rows), plain.gradients(model)


def computed(
    model: Any, rows: list[Row] = ROWS, **training: Any
) -> tuple[tuple[float, Gradients], Step, dict[str, PathTaken]]:
    """Loss and gradients of a step by the core, its windows, and the paths by part."""
    built = build(model, training=TrainingSpec(**{"window": 64} | training), device="cpu", pad_token_id=0)
    try:
        step, loss = built.step(rows), 0.0
        for window in step:
            summed, right = built.summed_loss(window)
            assert 0 <= int(right) <= window.labels
            if window.labels:
                (summed / step.labels).backward()
            loss += float(summed.detach()) / step.labels
    finally:
        built.unfuse()
    return (loss, plain.gradients(model)), step, {path.part: path for path in built.paths}


def assert_equal(ours: tuple[float, Gradients], theirs: tuple[float, Gradients]) -> None:
    assert ours[0] == pytest.approx(theirs[0], abs=LOSS)
    assert ours[1].keys() == theirs[1].keys()
    off = {name: float((ours[1][name] - size).norm() / size.norm()) for name, size in theirs[1].items()}
    worst = max(off, key=lambda name: off[name])
    assert off[worst] < GRADIENT, f"the gradient of {worst} is off by {off[worst]:.1e} of its norm"
