"""Segments: where sequences that were laid end to end begin and end, and which are attended to in one call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

# Sequences whose lengths differ less than this share one call, padded to the longest: their padding costs less than
# a call of its own would.
TOLERANCE = 0.25


class Group:
    """Sequences of like length: `places` (rows * longest,) of their tokens in the window, padding at token 0.

    `real` is `places` without the padding, `slots` where those tokens lie in the padded (rows * longest,) layout;
    without padding `slots` is None.
    """

    def __init__(self, starts: np.ndarray[Any, Any], lengths: np.ndarray[Any, Any], device: Any) -> None:
        import torch

        self.rows, self.longest = len(lengths), int(lengths.max())
        along = np.arange(self.longest)
        inside = along[None] < lengths[:, None]
        places = (starts[:, None] + along[None])[inside]
        self.real = torch.from_numpy(places).to(device)
        padded = not inside.all()
        self.slots = torch.from_numpy(np.flatnonzero(inside)).to(device) if padded else None
        self.positions = self.rows * self.longest


class Segments:
    """The sequences of one window in order, `lengths` tokens each. What devices need is made once and kept."""

    def __init__(self, lengths: Sequence[int], device: Any = "cpu") -> None:
        self.lengths = tuple(int(length) for length in lengths)
        self.device = device
        self.longest = max(self.lengths)
        self._groups: list[Group] | None = None
        self._ends: Any = None

    @property
    def tokens(self) -> int:
        return sum(self.lengths)

    def to(self, device: Any) -> Segments:
        return self if str(device) == str(self.device) else Segments(self.lengths, device)

    @property
    def ends(self) -> Any:
        """(sequences + 1,) int32: 0 and the end of each, as variable-length attention kernels want it."""
        import torch

        if self._ends is None:
            ends = np.concatenate([[0], np.cumsum(self.lengths)]).astype(np.int32)
            self._ends = torch.from_numpy(ends).to(self.device)
        return self._ends

    @property
    def groups(self) -> list[Group]:
        """All sequences, those of like length together."""
        if self._groups is None:
            lengths = np.array(self.lengths)
            starts = np.cumsum(lengths) - lengths
            order = np.argsort(-lengths, kind="stable")
            self._groups = []
            begin = 0
            for place in range(1, len(order) + 1):
                first = lengths[order[begin]]
                if place == len(order) or lengths[order[place]] < first * (1 - TOLERANCE):
                    chosen = np.sort(order[begin:place])
                    self._groups.append(Group(starts[chosen], lengths[chosen], self.device))
                    begin = place
        return self._groups

    def positions(self) -> np.ndarray[Any, Any]:
        """(tokens,) int64: counted from 0 in each sequence."""
        return np.concatenate([np.arange(length) for length in self.lengths])
