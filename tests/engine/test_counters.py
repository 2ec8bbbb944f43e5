"""Counters: rates over the last steps, the machine's limit, and what TensorBoard is given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tunesmith.daemon.api import events as e
from tunesmith.daemon.worker.train import limit, tensorboard
from tunesmith.daemon.worker.train.pace import STEPS, Counts, Pace


def step(number: int, **values: Any) -> e.TrainStep:
    fields = {
        "time": 1e9 + number,
        "step": number,
        "total_steps": 9,
        "epoch": 0.5,
        "loss": 2.0,
        "learning_rate": 1e-4,
        "gradient_norm": 1.0,
        "tokens_per_second": 100.0,
        "memory_bytes": 10,
        "eta_s": 1.0,
    }
    return e.TrainStep(**(fields | values))


def test_rates_are_those_of_the_last_steps_only() -> None:
    pace = Pace()
    pace.add(100.0, Counts(1, 1, 1, 1, 1))
    for _ in range(STEPS):
        pace.add(0.5, Counts(tokens=60, positions=80, labels=20, right=5, flops=1000))
    assert pace.seconds == 0.5
    assert pace.per_second(pace.counts.tokens) == 120
    assert pace.per_second(pace.counts.flops) == 2000
    assert (pace.counts.padding_share, pace.counts.accuracy) == (0.25, 0.25)


def test_before_the_first_step_nothing_is_known() -> None:
    pace = Pace()
    assert (pace.seconds, pace.per_second(5), pace.counts.padding_share, pace.counts.accuracy) == (0, 0, 0, None)


def test_a_step_is_the_difference_of_logged_sums() -> None:
    before, now = ({"num_tokens": 10, "num_labels": 4}, {"num_tokens": 25, "num_labels": 9, "loss": 1.0})
    assert Counts.logged(now).since(Counts.logged(before)) == Counts(tokens=15, labels=5)


def test_the_limit_is_a_rate_that_this_machine_reaches() -> None:
    import torch

    # Below a slow phone's and above any machine's, it would be a mistake of units.
    assert 1e8 < limit.measure("cpu", torch.float32) < 1e16


def test_the_limit_is_the_fastest_library_s(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    assert limit.by_library("cpu", torch.bfloat16).keys() == {"torch.mm"}, "oneDNN's is for float32"
    monkeypatch.setattr(limit, "by_library", lambda device, dtype: {"torch.mm": 2.0, "oneDNN": 3.0})
    assert limit.measure("cpu", torch.float32) == 3.0


def test_scalars_are_named_as_tensorboard_groups_them() -> None:
    found = tensorboard.scalars(step(1, token_accuracy=0.5, limit_share=None, loss=-1.0))
    assert found["train/token_accuracy"] == 0.5 and found["speed/tokens_per_second"] == 100
    assert "speed/limit_share" not in found, "what was not measured has no point"
    assert "train/loss" not in found, "-1 says that the loss was not a number"


def test_a_board_is_a_file_that_can_be_read_while_training(tmp_path: Path) -> None:
    from tensorboardX.proto.event_pb2 import Event

    board = tensorboard.Board(tmp_path)
    assert not (tmp_path / tensorboard.FOLDER).exists(), "nothing is written before the first step"
    board.tell(step(1))
    board.tell(
        e.MemoryMeasured(
            time=0, step=2, weights=7, adapter=1, gradients=1, optimizer=2, activations=3, other=4, peak=18
        )
    )
    board.close()
    (file,) = (tmp_path / tensorboard.FOLDER).iterdir()
    raw = file.read_bytes()
    found: dict[str, tuple[int, float]] = {}
    while raw:  # a record: length in 8 bytes, its checksum in 4, the event, its checksum in 4
        size = int.from_bytes(raw[:8], "little")
        event = Event.FromString(raw[12 : 12 + size])
        found |= {value.tag: (event.step, value.simple_value) for value in event.summary.value}
        raw = raw[16 + size :]
    assert found["train/loss"] == (1, 2.0)
    assert found["memory/weights_bytes"] == (2, 7.0)
    assert found["train/learning_rate"][1] == pytest.approx(1e-4)
