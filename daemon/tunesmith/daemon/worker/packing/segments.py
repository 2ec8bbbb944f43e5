"""Segments: where sequences that were laid end to end begin and end, and which are attended to in one call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

# Neighbours whose lengths differ less than this share one call, padded to the longest: the padding costs less than a
# call of its own would.
TOLERANCE = 0.25


class Group:
    """Neighbouring sequences of like length. `slots` (tokens,) is where each token lies in a padded (rows * longest,)
    layout; None when nothing is padded.
    """

    def __init__(self, lengths: Sequence[int], device: Any) -> None:
        import torch

        sizes = np.array(lengths)
        self.rows, self.longest, self.tokens = len(sizes), int(sizes.max()), int(sizes.sum())
        self.slots = None
        if self.tokens < self.rows * self.longest:
            inside = np.arange(self.longest)[None] < sizes[:, None]
            self.slots = torch.from_numpy(np.flatnonzero(inside)).to(device)


class Segments:
    """The sequences of one window in order, `lengths` tokens each. What a device needs is made once and kept."""

    def __init__(self, lengths: Sequence[int], device: Any = "cpu") -> None:
        self.lengths = tuple(int(length) for length in lengths)
        self.device = device
        self.longest = max(self.lengths)
        self.tokens = sum(self.lengths)
        self._groups: list[Group] | None = None
        self._ends: Any = None

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
        """All sequences in order, neighbours of like length together."""
        if self._groups is None:
            self._groups, run = [], list[int]()
            for length in self.lengths:
                if run and min(*run, length) < max(*run, length) * (1 - TOLERANCE):
                    self._groups.append(Group(run, self.device))
                    run = []
                run.append(length)
            self._groups.append(Group(run, self.device))
        return self._groups

    def positions(self) -> np.ndarray[Any, Any]:
        """(tokens,) int64: counted from 0 in each sequence."""
        return np.concatenate([np.arange(length) for length in self.lengths])
