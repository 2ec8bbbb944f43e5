"""Order of training: everything once, seeded, the same whether it was prepared before or beside the training."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tunesmith.daemon.worker.data import feed as feeding
from tunesmith.daemon.worker.data.feed import Feed, Stream
from tunesmith.daemon.worker.data.store import Array, Store
from tunesmith.recipes.data.examine import Examined


def examined(first: int, rows: int) -> Examined:
    """Rows `first` to `first + rows`; row n has n % 7 + 2 tokens, all n."""
    numbers = np.arange(first, first + rows)
    lengths = (numbers % 7 + 2).astype(np.int32)
    return Examined(
        rows_read=rows,
        rows_kept=rows,
        rejected=[],
        notices=[],
        lengths=lengths,
        trained=lengths,
        hashes=numbers.astype(np.uint64),
        questions=np.zeros(rows, np.uint64),
        cut=0,
        fully_masked=0,
        findings=Counter(),
        first_places={},
        labels=Counter(),
        samples=[],
        candidates=[],
        ids=np.repeat(numbers, lengths).astype(np.int32),
        masks=np.ones(int(lengths.sum()), bool),
        ends=np.cumsum(lengths),
        owners=np.arange(rows),
    )


def store(folder: Path, rows: int, chunk: int = 100) -> Store:
    made = Store(folder / f"store.{rows}")
    for first in range(0, rows, chunk):
        made.append(examined(first, min(chunk, rows - first)))
    made.finish(folder / f"store-{rows}")
    return made


def none_held_out(hashes: Array) -> Array:
    return np.zeros(len(hashes), bool)


def fed(
    *stores: tuple[Store, float],
    streaming: bool = False,
    seed: int = 1,
    held_out: Callable[[Array], Array] = none_held_out,
) -> Feed:
    streams = [
        Stream(made, weight, made.available, lambda wanted, made=made: made.wait(wanted, 60)) for made, weight in stores
    ]
    return Feed(streams, batch_size=4, seed=seed, streaming=streaming, held_out=held_out)


def seen(feed: Feed, epoch: int = 0) -> list[tuple[int, int]]:
    return [place for batch in feed.batches(epoch) for place in batch]


def test_a_store_gives_back_what_was_put_in(tmp_path: Path) -> None:
    made = store(tmp_path, 250)
    for index in (0, 99, 100, 249):
        ids, mask = made.sequence(index)
        assert ids.tolist() == [index] * (index % 7 + 2)
        assert mask.all()
    again = Store.open(made.folder)
    assert again is not None
    assert again.available == 250
    assert again.sequence(137)[0].tolist() == made.sequence(137)[0].tolist()
    assert again.summary.rows_read == 250


def test_an_unfinished_store_is_not_opened(tmp_path: Path) -> None:
    made = Store(tmp_path / "store.1")
    made.append(examined(0, 10))
    assert Store.open(tmp_path / "store.1") is None


@pytest.mark.parametrize("streaming", [False, True])
def test_every_sequence_is_seen_once_an_epoch(tmp_path: Path, streaming: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeding, "WINDOW", 64)
    feed = fed((store(tmp_path, 301), 1.0), streaming=streaming)
    for epoch in range(2):
        assert sorted(seen(feed, epoch)) == [(0, index) for index in range(301)]
        assert len(list(feed.batches(epoch))) == feed.batches_in(epoch) == 76
    assert seen(feed, 0) != seen(feed, 1)
    assert seen(feed, 0) == seen(feed, 0)


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("skip", [0, 1, 17, 60, 61, 131, 1000])
def test_what_is_skipped_is_what_was_trained_on_before(
    tmp_path: Path, streaming: bool, skip: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeding, "WINDOW", 64)
    feed = fed((store(tmp_path, 200), 1.0), (store(tmp_path, 90), 0.4), streaming=streaming)
    whole = list(feed.all_batches(3))
    assert len(whole) == feed.steps(3)
    assert len({feed.batches_in(epoch) for epoch in range(3)}) > 1  # epochs differ in length
    assert list(feed.all_batches(3, skip)) == whole[skip:]


def test_a_loader_reads_no_sequence_that_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    feed = fed((store(tmp_path, 50), 1.0))
    read: list[tuple[int, int]] = []
    sequence = feed.sequence

    def watched(stream: int, index: int) -> tuple[Array, Array]:
        read.append((stream, index))
        return sequence(stream, index)

    monkeypatch.setattr(feed, "sequence", watched)
    steps = list(feeding.loader(feed, 2, 20, lambda rows: [ids.tolist() for ids, _ in rows]))
    assert len(steps) == feed.steps(2) - 20
    assert read == [place for batch in list(feed.all_batches(2))[20:] for place in batch]


def test_another_seed_is_another_order(tmp_path: Path) -> None:
    made = store(tmp_path, 100)
    assert seen(fed((made, 1.0), seed=1)) != seen(fed((made, 1.0), seed=2))


@pytest.mark.parametrize("streaming", [False, True])
def test_weights_say_how_often_a_source_is_seen(
    tmp_path: Path, streaming: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeding, "WINDOW", 64)
    feed = fed((store(tmp_path, 400), 0.25), (store(tmp_path, 90), 3.0), streaming=streaming)
    counts = Counter(stream for stream, _ in seen(feed))
    assert 60 < counts[0] < 140
    assert counts[1] == 270
    assert feed.batches_in(0) == -(-sum(counts.values()) // 4)
    assert {place for place in seen(feed, 0) if place[0] == 0} != {place for place in seen(feed, 1) if place[0] == 0}


def test_held_out_rows_are_never_trained_on(tmp_path: Path) -> None:
    feed = fed((store(tmp_path, 100), 1.0), held_out=lambda hashes: hashes % np.uint64(10) == 3)
    assert all(index % 10 != 3 for _, index in seen(feed))
    assert len(seen(feed)) == 90


def test_bucketed_batches_hold_rows_of_like_length(tmp_path: Path) -> None:
    feed = fed((store(tmp_path, 700), 1.0))
    feed.bucketed = True
    spreads = [max(i % 7 for _, i in batch) - min(i % 7 for _, i in batch) for batch in feed.batches(0)]
    assert np.mean(spreads) < 1


def test_the_order_is_the_same_while_the_rest_is_still_being_prepared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeding, "WINDOW", 64)
    whole = store(tmp_path, 500)
    growing = Store(tmp_path / "growing.1")
    growing.append(examined(0, 100))
    feed = Feed(
        [Stream(growing, 1.0, 500, lambda wanted: growing.wait(wanted, 60))],
        batch_size=4, seed=1, streaming=True, held_out=none_held_out,
    )  # fmt: skip
    batches = feed.batches(0)
    first = [next(batches) for _ in range(8)]
    assert feed.batches_in(0) == 125

    def rest() -> None:
        for start in range(100, 500, 100):
            growing.append(examined(start, 100))
        growing.finish(tmp_path / "grown")

    writer = threading.Thread(target=rest)
    writer.start()
    later = list(batches)
    writer.join()
    assert [*first, *later] == list(fed((whole, 1.0), streaming=True).batches(0))
    assert growing.sequence(77)[0].tolist() == [77] * 2
