"""The training core: what a step computes and which paths it takes, the same for every method."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from tunesmith.daemon.api.events import PathTaken
from tunesmith.daemon.worker.packing.windows import Row, Step, Window


class Core(Protocol):
    """What a method's trainer needs of the engine. `paths` says how each part is computed and why."""

    paths: tuple[PathTaken, ...]

    def step(self, rows: Sequence[Row]) -> Step:
        """The windows of one optimizer step over `rows`."""

    def summed_loss(self, window: Window) -> tuple[Any, Any]:
        """Cross entropy in nats summed over the window's labels (differentiable), and how many were predicted right."""
