"""How fast training goes: counts of the last steps over their time, so that one slow step is no alarm."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import NamedTuple

STEPS = 10  # that the rates are taken over


class Counts(NamedTuple):
    """What steps computed: tokens without padding, positions with it, labelled tokens, those predicted right, and
    useful floating-point operations."""

    tokens: float = 0
    positions: float = 0
    labels: float = 0
    right: float = 0
    flops: float = 0

    @classmethod
    def logged(cls, logs: Mapping[str, float]) -> Counts:
        """The sums since training began, as a trainer logs them (num_tokens ...)."""
        return cls(*(float(logs.get(f"num_{name}", 0)) for name in cls._fields))

    def since(self, before: Counts) -> Counts:
        return Counts(*(now - then for now, then in zip(self, before, strict=True)))

    @property
    def padding_share(self) -> float:
        return 1 - self.tokens / self.positions if self.positions else 0.0

    @property
    def accuracy(self) -> float | None:
        return self.right / self.labels if self.labels else None


class Pace:
    """Rates over the last STEPS steps."""

    def __init__(self) -> None:
        self._steps: deque[tuple[float, Counts]] = deque(maxlen=STEPS)

    def add(self, seconds: float, counts: Counts) -> None:
        self._steps.append((seconds, counts))

    @property
    def seconds(self) -> float:
        """Of one step; 0 before the first."""
        return sum(seconds for seconds, _ in self._steps) / len(self._steps) if self._steps else 0.0

    @property
    def counts(self) -> Counts:
        """All that the last steps computed."""
        return Counts(*map(sum, zip(*(counts for _, counts in self._steps), strict=True))) if self._steps else Counts()

    def per_second(self, amount: float) -> float:
        """`amount` of the last steps together, by the second."""
        return amount / max(self.seconds * len(self._steps), 1e-9) if self._steps else 0.0
