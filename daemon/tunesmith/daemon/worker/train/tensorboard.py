"""A run's numbers as TensorBoard scalars, in the job folder's `tensorboard/`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tunesmith.daemon.api import events as e

FOLDER = "tensorboard"


class Board:
    """Writes events as they are told; look at them with `tensorboard --logdir`. Opened at the first step.

    What an earlier attempt wrote at and after that step is left out of the charts.
    """

    def __init__(self, job: Path) -> None:
        self.folder = job / FOLDER
        self._writer: Any = None

    def tell(self, event: e.TrainStep | e.MemoryMeasured) -> None:
        if self._writer is None:
            from tensorboardX import SummaryWriter

            self._writer = SummaryWriter(logdir=str(self.folder), purge_step=event.step)
        for name, value in scalars(event).items():
            self._writer.add_scalar(name, value, event.step, walltime=event.time)
        self._writer.flush()  # a killed worker has no time left for it

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def scalars(event: e.TrainStep | e.MemoryMeasured) -> dict[str, float]:
    """Names as TensorBoard groups them. What was not measured, or was not a number, has no point in its chart."""
    if isinstance(event, e.MemoryMeasured):
        parts = ("weights", "adapter", "gradients", "optimizer", "activations", "other", "peak")
        return {f"memory/{part}_bytes": getattr(event, part) for part in parts}
    found = {
        "train/loss": event.loss if event.loss >= 0 else None,
        "train/learning_rate": event.learning_rate,
        "train/gradient_norm": event.gradient_norm if event.gradient_norm >= 0 else None,
        "train/token_accuracy": event.token_accuracy,
        "train/epoch": event.epoch,
        "speed/tokens_per_second": event.tokens_per_second,
        "speed/flops_per_second": event.flops_per_second,
        "speed/limit_share": event.limit_share,
        "speed/padding_share": event.padding_share,
        "memory/bytes": event.memory_bytes,
    }
    return {name: value for name, value in found.items() if value is not None}
