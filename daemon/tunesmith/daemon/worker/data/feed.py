"""The order in which prepared sequences are trained on: seeded, by content of the recipe alone, not by timing."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import numpy as np

from tunesmith.daemon.worker.data.store import Array, Store
from tunesmith.recipes.data.held_out import drawn, share_of_draws

WINDOW = 8192  # sequences that are shuffled together while the rest is still being prepared
GROUP = 50  # batches whose sequences are sorted by length together when bucketed: less padding, still random


class Stream(msgspec.Struct):
    """A source on its way: `bound` is at least its number of sequences, `weight` how often each is seen an epoch."""

    store: Store
    weight: float
    bound: int
    wait: Callable[[int], None]


class Feed:
    """Batches of an epoch out of several streams.

    `streaming`: the first epoch takes window after window as they come; else all is shuffled together. `held_out` says
    of content hashes (uint64) which are not trained on. Batches are lists of (stream, sequence), random rows, or of
    like length where `bucketed`: what is packed has no padding to save.
    """

    def __init__(
        self,
        streams: list[Stream],
        *,
        batch_size: int,
        seed: int,
        streaming: bool,
        held_out: Callable[[Array], Array],
    ) -> None:
        self.streams = streams
        self.batch_size = batch_size
        self.bucketed = False
        self.seed = seed
        self.streaming = streaming
        self.held_out = held_out
        self._sizes: dict[int, int] = {}

    @property
    def finished(self) -> bool:
        return all(stream.store.finished for stream in self.streams)

    def batches_in(self, epoch: int) -> int:
        """How many batches the epoch has: exact once everything is prepared, before that an upper bound."""
        rows = 0
        for place, stream in enumerate(self.streams):
            if self.finished:
                rows += len(self._chosen(place, 0, stream.store.available, epoch))
            else:
                rows += math.ceil(stream.bound * math.ceil(stream.weight))
        return -(-rows // self.batch_size)

    def steps(self, epochs: int) -> int:
        """How many batches all epochs have: exact once everything is prepared, before that an upper bound."""
        return sum(self.batches_in(epoch) for epoch in range(epochs))

    def place(self, step: int, epochs: int) -> tuple[int, int]:
        """The epoch (from 0) that the batch after `step` batches lies in, and how many of it are over.

        Of what is all prepared. After the last epoch it is the beginning of one more.
        """
        for epoch in range(epochs):
            if epoch not in self._sizes:
                self._sizes[epoch] = self.batches_in(epoch)
            if step < self._sizes[epoch]:
                return epoch, step
            step -= self._sizes[epoch]
        return epochs, step

    def sequence(self, stream: int, index: int) -> tuple[Array, Array]:
        """ids (int32) and mask (bool)."""
        return self.streams[stream].store.sequence(index)

    def all_batches(self, epochs: int, skip: int = 0) -> Iterator[list[tuple[int, int]]]:
        """One epoch after the other, without the first `skip` batches, of which no sequence is read."""
        for epoch in range(epochs):
            if skip and self.finished and skip >= self.batches_in(epoch):
                skip -= self.batches_in(epoch)
                continue
            for batch in self.batches(epoch):
                if skip:
                    skip -= 1
                else:
                    yield batch

    def batches(self, epoch: int) -> Iterator[list[tuple[int, int]]]:
        """Every sequence as often as its weight says, the last batch perhaps smaller. Waits for what is not there."""
        random = np.random.default_rng((self.seed, epoch))
        carried = np.zeros((0, 3), np.int64)
        for window in self._windows(epoch):
            rows = np.concatenate([carried, random.permutation(window)])
            whole = len(rows) - len(rows) % self.batch_size
            yield from self._bucketed(rows[:whole], random) if self.bucketed else self._batched(rows[:whole])
            carried = rows[whole:]
        if len(carried):
            yield [(int(stream), int(index)) for stream, index, _ in carried]

    def _windows(self, epoch: int) -> Iterator[Array]:
        """Arrays (rows, 3) of stream, sequence and length."""
        if not (self.streaming and epoch == 0):
            for stream in self.streams:
                stream.wait(stream.bound)
            yield np.concatenate(
                [self._rows(place, 0, stream.store.available, epoch) for place, stream in enumerate(self.streams)]
            )
            return
        start = 0
        while True:
            for stream in self.streams:
                stream.wait(start + WINDOW)
            ends = [min(start + WINDOW, stream.store.available) for stream in self.streams]
            window = [self._rows(place, start, end, epoch) for place, end in enumerate(ends) if end > start]
            if not window:
                return
            yield np.concatenate(window)
            start += WINDOW

    def _rows(self, place: int, start: int, end: int, epoch: int) -> Array:
        chosen = self._chosen(place, start, end, epoch)
        lengths = self.streams[place].store.lengths(start, end)[chosen - start]
        return np.stack([np.full(len(chosen), place, np.int64), chosen, lengths.astype(np.int64)], axis=1)

    def _chosen(self, place: int, start: int, end: int, epoch: int) -> Array:
        """Sequences of `start` to `end` that this epoch sees, repeated as the stream's weight says."""
        stream = self.streams[place]
        kept = start + np.flatnonzero(~self.held_out(stream.store.hashes(start, end)))
        whole, share = divmod(stream.weight, 1)
        # Drawn a row, not a window: however the windows fall, an epoch sees the same.
        extra = kept[drawn(kept, self.seed + 1 + epoch) < share_of_draws(share)]
        return np.concatenate([np.repeat(kept, int(whole)), extra])

    def _batched(self, rows: Array) -> Iterator[list[tuple[int, int]]]:
        for batch in rows[:, :2].reshape(-1, self.batch_size, 2):
            yield [(int(stream), int(index)) for stream, index in batch]

    def _bucketed(self, rows: Array, random: np.random.Generator) -> Iterator[list[tuple[int, int]]]:
        """Batches of sequences of like length; the order of the batches is random."""
        span = GROUP * self.batch_size
        for start in range(0, len(rows), span):
            group = rows[start : start + span]
            group = group[np.argsort(-group[:, 2], kind="stable")]
            batches = group[:, :2].reshape(-1, self.batch_size, 2)
            for place in random.permutation(len(batches)):
                yield [(int(stream), int(index)) for stream, index in batches[place]]


def loader(feed: Feed, epochs: int, skip: int, collate: Callable[[list[tuple[Array, Array]]], Any]) -> Any:
    """A torch DataLoader over all `epochs` of `feed`: `collate` makes a step of a batch of ids and masks.

    To a trainer this is one long epoch: then epochs may differ in length (sources with weights do), and the batch after
    the first `skip` is where a resumed training goes on. In this process: the rows are memory-mapped tokens, so that
    another would cost more than it saves.
    """
    from torch.utils.data import DataLoader, Dataset, Sampler

    class Sequences(Dataset):  # type: ignore[type-arg]
        def __getitem__(self, place: tuple[int, int]) -> tuple[Array, Array]:
            return feed.sequence(*place)

    class Batches(Sampler):  # type: ignore[type-arg]
        def __iter__(self) -> Iterator[list[tuple[int, int]]]:
            return feed.all_batches(epochs, skip)

        def __len__(self) -> int:
            return max(feed.steps(epochs), 1)

    return DataLoader(Sequences(), batch_sampler=Batches(), collate_fn=collate)
