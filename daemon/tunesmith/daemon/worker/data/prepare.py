"""The prepare stage: every row read, checked, rendered and accounted for; held-out rows set apart.

What is small is prepared whole before training. Of what is large the first rows are enough to begin with; the rest is
prepared beside the training, and `finish` accounts for it.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import msgspec
import numpy as np

from tunesmith.daemon.worker import load
from tunesmith.daemon.worker.context import Context
from tunesmith.daemon.worker.data import held_out, tokens
from tunesmith.daemon.worker.data.account import account, first_reasons
from tunesmith.daemon.worker.data.feed import WINDOW, Feed, Stream
from tunesmith.daemon.worker.data.source import ALL, Source
from tunesmith.daemon.worker.data.store import Array
from tunesmith.recipes import starter
from tunesmith.recipes.data import limited
from tunesmith.recipes.data.examine import loaded
from tunesmith.recipes.data.held_out import HeldOutRow, drawn, share_of_draws
from tunesmith.recipes.data.rendering import bounds
from tunesmith.recipes.data.rows import Rendered, Sample
from tunesmith.recipes.errors import DataError, ModelError
from tunesmith.recipes.machine.cpu import granted_cores
from tunesmith.recipes.spec import EVALUATE, STARTER, TRAIN, WRITING, SourceSpec
from tunesmith.recipes.words import say

AT_ONCE_BYTES = 16 * 2**20  # prepared in a few seconds, so training need not begin before
MOST_STREAMS = 4  # sources that are prepared side by side; each needs a process with a tokenizer in it
UNKNOWN_ROW_BYTES = 200  # of a row, where only reading tells how many there are


class Prepared:
    """What training and evaluation take from the data. `finish` is to be called once training has seen all of it."""

    def __init__(self, context: Context) -> None:
        """Looks at the sources. Raises DataError."""
        self.context = context
        self.questions: list[HeldOutRow] = []  # to be asked
        self.scored: list[Rendered] = []  # whose loss is measured
        self.finished = False
        spec = context.spec
        # Of what is evaluated on rows of its own nothing else is looked at.
        given = () if spec.task == EVALUATE and spec.data.held_out is not None else spec.data.sources
        self.sources = [
            Source(name, source, spec.data, spec.method["kind"], spec.training.max_length)
            for name, source in on_disk(context, "train", given)
        ]
        self.most_rows = sum(source.most_rows or source.bytes // UNKNOWN_ROW_BYTES for source in self.sources)
        known = all(source.most_rows is not None for source in self.sources)
        large = sum(source.bytes for source in self.sources) > AT_ONCE_BYTES
        few = len(self.sources) <= MOST_STREAMS
        self.streaming = large and known and few and spec.data.over_long != "split"
        self.splits = spec.data.held_out is None
        self.share = held_out.candidate_share(self.most_rows, spec.data.held_out_fraction, self.streaming)

    def begin(self) -> None:
        """Return once training can begin. Raises DataError when there is nothing to train on, ModelError."""
        context = self.context
        # Beside the engine's import, which takes longer.
        ready = ThreadPoolExecutor(1).submit(load_tried, str(context.base))
        context.tokenizer = load.tokenizer(context.base)
        ready.result()
        self.model = tokens.folder(context)
        if not self.splits:
            self.read_held_out()
        cores = granted_cores()
        # A training beside the preparing needs a core itself.
        processes = max((cores - 1) // len(self.sources), 1) if self.streaming else cores
        for source in self.sources:
            if self.streaming:
                source.pause(WINDOW)
            source.start(self.model, context.home.prepared, self.share if self.splits else 0.0, processes)
            if not self.streaming:
                source.wait(ALL, self.progress)
        self.feed = Feed(
            [Stream(source.store, source.weight, source.most_rows or 0, source.wait) for source in self.sources],
            batch_size=context.spec.training.batch_size * context.spec.training.gradient_accumulation,
            seed=context.spec.training.seed,
            streaming=self.streaming,
            held_out=self.drawn_below if self.streaming and self.splits else no_row,
        )
        if context.spec.task not in WRITING:
            load.trainer()  # other processes prepare meanwhile
        if not self.streaming or context.spec.task != TRAIN:  # held out is what was when the run streamed them
            self.finish()
            return
        for source in self.sources:
            source.wait(WINDOW, self.progress)
        if not any(source.store.available for source in self.sources):
            self.refuse()

    @property
    def longest(self) -> int:
        """Tokens of the longest sequence; while more are being prepared, max_length at least where that is set."""
        rows = [source.store.summary.longest for source in self.sources] or [len(row.ids) for row in self.scored]
        longest = max(rows, default=1)
        return longest if self.finished else max(longest, self.context.spec.training.max_length or 0)

    def drawn_below(self, hashes: Array) -> Array:
        below: Array = drawn(hashes, 0) < share_of_draws(self.share)
        return below

    def look(self) -> bool:
        """Beside the training: whether everything has just come to be prepared. Raises what stopped the preparing."""
        for source in self.sources:
            source.go_on()
            source.raise_error()
        if self.finished or not self.feed.finished:
            return False
        self.finish()
        return True

    def progress(self) -> None:
        done = sum(source.store.summary.rows_read for source in self.sources)
        wanted = WINDOW * len(self.sources) if self.streaming else self.most_rows
        self.context.progress(done, max(wanted, done), "rows")

    def finish(self) -> None:
        """Everything is prepared: account for it, once. Raises DataError when nothing of it can be used."""
        if self.finished:
            return
        for source in self.sources:
            source.wait(ALL)
        self.finished = True
        if self.splits:
            self.hold_out()
        for number, source in enumerate(self.sources):
            account(self.context, source, number)
        if not self.splits and self.sources:
            held_out.warn_of_overlap(self.context, self.questions, [source.store for source in self.sources])
        loaded.cache_clear()  # 50 MB that training does not need
        limited.end()
        if self.sources and not any(source.store.available for source in self.sources):
            self.refuse()

    def hold_out(self) -> None:
        data, seed = self.context.spec.data, self.context.spec.training.seed
        candidates = [found for source in self.sources for found in source.store.candidates()]
        if not self.streaming:
            stores = [source.store for source in self.sources]
            rows = len(np.unique(np.concatenate([store.hashes(0, store.available) for store in stores])))
            candidates = held_out.draw(candidates, rows, data.held_out_fraction, seed)
            chosen = held_out.hashes(candidates)
            self.feed.held_out = lambda hashes: np.isin(hashes, chosen)
        self.test_with(candidates)
        english = "{rows} rows are held out of training to test what was learned."
        self.context.notice("info", say("held_out", english, rows=len(candidates)))

    def test_with(self, samples: list[Sample]) -> None:
        """Score all of `samples`, and ask those that are a question and its answer."""
        self.scored = held_out.rendered(samples, self.model, self.context.spec.data.trained)
        self.questions, _ = held_out.questions(samples)

    def read_held_out(self) -> None:
        """The held-out file that the recipe names; every row of it is accounted for too."""
        spec = self.context.spec
        ((name, source),) = on_disk(self.context, "held_out", (SourceSpec(path=str(spec.data.held_out)),))
        self.questions, self.scored = held_out.read(self.context, name, source.path, self.model)

    def refuse(self) -> None:
        raise DataError(
            f"{', '.join(source.name for source in self.sources)} has no usable row",
            first_reasons(self.sources) or "Give one JSON object with `messages` a line.",
        )


def load_tried(model: str) -> None:
    """Read the tokenizer, in a child first: its chat template may be made to take all memory.

    Raises ModelError for that alone; what else is wrong is told when the tokenizer is asked for.
    """
    try:
        limited.call(tried, model)
        loaded(model)
    except ModelError as error:
        if error.code == bounds.CODE:
            raise


def tried(model: str) -> None:
    loaded(model)


def run(context: Context) -> None:
    context.prepared = Prepared(context)
    context.prepared.begin()


def no_row(hashes: Array) -> Array:
    return np.zeros(len(hashes), bool)


def on_disk(context: Context, kind: str, sources: tuple[SourceSpec, ...]) -> list[tuple[str, SourceSpec]]:
    """The sources as files with their names; the starter's rows about the recipe's persona are written to one first."""
    found = []
    for source in sources:
        name = source.path
        if source.path == STARTER:
            name = f"{STARTER}/{kind}.jsonl"
            file = context.work / name
            file.parent.mkdir(exist_ok=True)
            rows = starter.starter_rows(kind, context.spec.data.persona)
            file.write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in rows))
            source = msgspec.structs.replace(source, path=str(file))
        found.append((name, source))
    return found
