"""A step's rows as windows: laid end to end without padding, or padded where a model cannot be packed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tunesmith.daemon.worker.packing.segments import Segments

Row = tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]  # ids (length,), mask (length,) True where trained


class Window:
    """What one forward and backward pass computes.

    `input_ids` and `position_ids` (1, tokens), or (rows, longest) padded on the right with `attention_mask`; `kept`
    (labels,) are the flat positions whose next token is trained, `targets` (labels,) those tokens. `segments` is None
    when padded.
    """

    def __init__(self, rows: Sequence[Row], *, padded_with: int | None = None) -> None:
        import torch

        lengths = [len(ids) for ids, _ in rows]
        self.tokens = sum(lengths)
        self.lengths = tuple(lengths)
        self.segments: Segments | None = None
        self.attention_mask: Any = None
        if padded_with is None:
            self.segments = Segments(lengths)
            ids = np.concatenate([ids for ids, _ in rows])[None]
            trained = np.concatenate([mask for _, mask in rows])[None]
            places = self.segments.positions()[None]
        else:
            longest = max(lengths)
            ids = np.full((len(rows), longest), padded_with)
            trained = np.zeros((len(rows), longest), bool)
            real = np.zeros((len(rows), longest), np.int64)
            for place, (row, mask) in enumerate(rows):
                ids[place, : len(row)], trained[place, : len(row)], real[place, : len(row)] = row, mask, 1
            places = np.tile(np.arange(longest), (len(rows), 1))
            self.attention_mask = torch.from_numpy(real)
        self.positions = ids.size  # padding counted
        # A sequence's first token has nothing before it to be told from.
        after = np.flatnonzero((trained & (places > 0)).reshape(-1))
        self.input_ids = torch.from_numpy(ids.astype(np.int64))
        self.position_ids = torch.from_numpy(places.astype(np.int64))
        self.kept = torch.from_numpy(after - 1)
        self.targets = self.input_ids.reshape(-1)[torch.from_numpy(after)]

    @property
    def labels(self) -> int:
        return len(self.targets)

    def to(self, device: Any) -> Window:
        """Itself, its tensors on `device`."""
        for name in ("input_ids", "position_ids", "kept", "targets", "attention_mask"):
            tensor = getattr(self, name)
            if tensor is not None:
                setattr(self, name, tensor.to(device, non_blocking=True))
        if self.segments is not None:
            self.segments = self.segments.to(device)
        return self


class Step(list[Window]):
    """The windows of one optimizer step. The loss of the step is the mean over all their labels."""

    @property
    def tokens(self) -> int:
        return sum(window.tokens for window in self)

    @property
    def positions(self) -> int:
        return sum(window.positions for window in self)

    @property
    def labels(self) -> int:
        return sum(window.labels for window in self)


def best_fit(lengths: Sequence[int], size: int) -> list[list[int]]:
    """Bins of at most `size` tokens: best-fit decreasing. A sequence longer than `size` has a bin of its own.

    Returns the places of `lengths` in each bin, the longest first; every place once. Source: Johnson 1974, "Fast
    algorithms for bin packing".
    """
    bins: list[list[int]] = []
    left: list[int] = []
    for place in sorted(range(len(lengths)), key=lambda place: -lengths[place]):
        fitting = [index for index, room in enumerate(left) if room >= lengths[place]]
        if fitting:
            best = min(fitting, key=lambda index: left[index])
            bins[best].append(place)
            left[best] -= lengths[place]
        else:
            bins.append([place])
            left.append(size - lengths[place])
    return bins


def balanced(lengths: Sequence[int], size: int) -> list[list[int]]:
    """As many bins as `best_fit` needs, as even as it makes them: a small last window is slow, a large one big."""
    bins = best_fit(lengths, size)
    target = max(-(-sum(lengths) // len(bins)), max(lengths))
    while target < size:
        even = best_fit(lengths, target)
        if len(even) <= len(bins):
            return even
        target += max(1, target // 32)
    return bins


def packed_places(lengths: Sequence[int], size: int, alone: int | None = None) -> list[list[int]]:
    """The places of `lengths` in each window of at most `size` tokens (or one longer sequence), without padding: as few
    as fit, of like size. Sequences longer than `alone` tokens have a window of their own.
    """
    long, others = apart(lengths, alone)
    bins = balanced([lengths[place] for place in others], size) if others else []
    windows = [*([place] for place in long), *([others[place] for place in places] for places in bins)]
    # The largest first: what it frees, the next find large enough.
    return sorted(windows, key=lambda places: -sum(lengths[place] for place in places))


def padded_places(lengths: Sequence[int], size: int, alone: int | None = None) -> list[list[int]]:
    """As `packed_places`, of windows of sequences of like length, padded to at most `size` positions."""
    long, others = apart(lengths, alone)
    windows, batch = [[place] for place in long], list[int]()
    for place in sorted(others, key=lambda place: -lengths[place]):
        if batch and (len(batch) + 1) * lengths[batch[0]] > size:
            windows.append(batch)
            batch = []
        batch.append(place)
    return [*windows, batch] if batch else windows


def packed(rows: Sequence[Row], size: int, alone: int | None = None) -> Step:
    found = packed_places([len(ids) for ids, _ in rows], size, alone)
    return Step(Window([rows[place] for place in places]) for places in found)


def padded(rows: Sequence[Row], size: int, pad: int, alone: int | None = None) -> Step:
    found = padded_places([len(ids) for ids, _ in rows], size, alone)
    return Step(Window([rows[place] for place in places], padded_with=pad) for places in found)


def apart(lengths: Sequence[int], alone: int | None) -> tuple[list[int], list[int]]:
    """The places of those longer than `alone` tokens, and of the others."""
    long = [place for place, length in enumerate(lengths) if alone is not None and length > alone]
    return long, [place for place, length in enumerate(lengths) if alone is None or length <= alone]
