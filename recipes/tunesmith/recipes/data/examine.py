"""One chunk of rows read, recognised, rendered and measured: what the check reports and what training prepares from."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache, partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from tunesmith.recipes.data import limited, pool
from tunesmith.recipes.data.checking.findings import findings_of
from tunesmith.recipes.data.duplicates import content_hash, question_hash
from tunesmith.recipes.data.files import reading
from tunesmith.recipes.data.files.sources import SourceFile
from tunesmith.recipes.data.held_out import drawn, share_of_draws
from tunesmith.recipes.data.parsing import media
from tunesmith.recipes.data.parsing.recognition import sample
from tunesmith.recipes.data.reasons import BadRow
from tunesmith.recipes.data.rendering.lengths import fitted
from tunesmith.recipes.data.rows import FileNotice, RawRow, RejectedRow, Rendered, Sample

if TYPE_CHECKING:
    from tunesmith.recipes.data.rendering.tokenizer import Tokenizer

NO_LOSS = ("classification", "embedding", "reward_prompt")  # shapes whose tokens are no targets
EXCERPT = 2000  # characters of a rejected row that are kept: enough to find it again


class Settings(msgspec.Struct, frozen=True):
    """How rows are looked at; equal settings over equal rows give equal results. `model` is a folder, None: no tokens.

    `shape` is a key of shapes, `mapping` column -> field, `trained` one of assistant, last, all; `over_long` one of
    error, drop, cut_left, cut_right, split. With `keep_tokens` the tokens themselves come back, not only their counts.
    """

    shape: str
    mapping: dict[str, str] = {}
    model: str | None = None
    trained: str = "assistant"
    max_length: int | None = None
    over_long: str = "error"
    keep_tokens: bool = False
    keep_samples: int = 0  # how many samples of a chunk come back, for a preview
    candidates: float = 0.0  # share of the rows that come back to be held out, drawn by content


class Examined(msgspec.Struct):
    """What one chunk came to: rows_read == rows_kept + len(rejected). Arrays are numpy, one entry a kept row.

    `lengths` (int32) are tokens before anything is cut (of the longest part) and `trained` (int32) those with a loss,
    0 without a model; `hashes` uint64 of the row's content (parts, tools, media, label), equal for
    duplicates, `questions` uint64 of its last user turn (0 without one). `cut` counts rows that `max_length` cuts,
    drops or refuses. `findings` counts what is odd but usable by code, with the place of the first in `first_places`.
    With keep_tokens `ids` (int32) and `masks` (bool) are flat, `ends` (int64) says where each sequence ends, and
    `owners` (int64) to which kept row it belongs.
    """

    rows_read: int
    rows_kept: int
    rejected: list[RejectedRow]
    notices: list[FileNotice]
    lengths: Any
    trained: Any
    hashes: Any
    questions: Any
    cut: int
    fully_masked: int
    findings: Counter[str]
    first_places: dict[str, str]
    labels: Counter[str]
    samples: list[Sample]
    candidates: list[Sample]
    ids: Any = None
    masks: Any = None
    ends: Any = None
    owners: Any = None


def stream(files: Sequence[SourceFile], settings: Settings, processes: int | None = None) -> Iterator[Examined]:
    """Every chunk of `files` examined, in order, in parallel. Raises ModelError without a tokenizer, MachineError.

    With a model, whose chat template may do anything, that is never in this process.
    """
    work = partial(examine, settings)
    alone = work if settings.model is None else partial(limited.call, work)
    return pool.ordered(work, reading.chunks(files), processes, alone)


def examine(settings: Settings, chunk: reading.Chunk) -> Examined:
    """Raises ModelError when there is no tokenizer."""
    collector = Collector(settings)
    for row in reading.rows_of(chunk):
        collector.read(row)
    return collector.finish()


@cache
def loaded(model: str) -> Tokenizer:
    """The tokenizer of a model folder, once a process. Raises ModelError."""
    from tunesmith.recipes.data.rendering.tokenizer import Tokenizer

    return Tokenizer.load(Path(model))


class Collector:
    """The rows of one chunk on their way to an Examined."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.tokenizer = None if settings.model is None else loaded(settings.model)
        self.rows_read = self.cut = self.fully_masked = 0
        self.samples: list[Sample] = []
        self.rejected: list[RejectedRow] = []
        self.notices: list[FileNotice] = []

    def read(self, row: RawRow | RejectedRow | FileNotice) -> None:
        if isinstance(row, FileNotice):
            self.notices.append(row)
            return
        self.rows_read += 1
        if isinstance(row, RejectedRow):
            self.rejected.append(row)
            return
        try:
            found = sample(row, self.settings.shape, self.settings.mapping)
            for item in found.media:
                media.check(item, Path(row.file).parent)
        except BadRow as error:
            excerpt = json.dumps(row.value, default=str)[:EXCERPT]
            self.rejected.append(error.at(row.file, row.line, excerpt))
        else:
            self.samples.append(found)

    def finish(self) -> Examined:
        import numpy as np

        kept: list[tuple[Sample, list[Rendered], int, int]]
        if self.tokenizer is None:
            kept = [(found, [], 0, 0) for found in self.samples]
        else:
            kept = list(self.render(self.tokenizer))
        findings: Counter[str] = Counter()
        first_places: dict[str, str] = {}
        labels: Counter[str] = Counter()
        for found, *_ in kept:
            for code in findings_of(found, self.tokenizer):
                findings[code] += 1
                first_places.setdefault(code, found.where)
            if found.label is not None:
                labels[str(found.label)] += 1
        self.rejected.sort(key=lambda row: row.line)
        hashes = np.array([content_hash(found) for found, *_ in kept], np.uint64)
        held = drawn(hashes, 0) < share_of_draws(self.settings.candidates) if self.settings.candidates else hashes < 0
        examined = Examined(
            rows_read=self.rows_read,
            rows_kept=len(kept),
            rejected=self.rejected,
            notices=self.notices,
            lengths=np.array([length for *_, length, _ in kept], np.int32),
            trained=np.array([trained for *_, trained in kept], np.int32),
            hashes=hashes,
            questions=np.array([question_hash(found) for found, *_ in kept], np.uint64),
            cut=self.cut,
            fully_masked=self.fully_masked,
            findings=findings,
            first_places=first_places,
            labels=labels,
            samples=[found for found, *_ in islice(kept, self.settings.keep_samples)],
            candidates=[kept[place][0] for place in np.flatnonzero(held)],
        )
        if self.settings.keep_tokens:
            pieces = [(owner, piece) for owner, (_, found, *_) in enumerate(kept) for piece in found]
            examined.ids = np.concatenate([np.zeros(0, np.int32), *(piece.ids for _, piece in pieces)])
            examined.masks = np.concatenate([np.zeros(0, bool), *(piece.trained for _, piece in pieces)])
            examined.ends = np.cumsum([len(piece.ids) for _, piece in pieces], dtype=np.int64)
            examined.owners = np.array([owner for owner, _ in pieces], np.int64)
        return examined

    def render(self, tokenizer: Tokenizer) -> Iterator[tuple[Sample, list[Rendered], int, int]]:
        """(sample, sequences to train on, tokens, trained tokens) of each row that can be rendered."""
        from tunesmith.recipes.data.rendering.render import render_many

        parts = [(part, found.tools) for found in self.samples for part in found.parts]
        rendered = iter(render_many(parts, tokenizer, self.settings.trained))
        for found in self.samples:
            several = list(islice(rendered, len(found.parts)))
            try:
                for one in several:
                    if isinstance(one, BadRow):
                        raise one
                yield found, *self.measured(found, [one for one in several if isinstance(one, Rendered)])
            except BadRow as error:
                self.fully_masked += error.code == "nothing_trained"
                text = json.dumps([part.messages or part.text for part in found.parts])[:EXCERPT]
                self.rejected.append(error.at(found.file, found.line, text))

    def measured(self, found: Sample, several: list[Rendered]) -> tuple[list[Rendered], int, int]:
        """Sequences of the first part, tokens of the longest part, trained tokens of all. Raises BadRow."""
        limit, policy = self.settings.max_length, self.settings.over_long
        length = max(len(one.ids) for one in several)
        if limit is not None and length > limit:
            self.cut += 1
            if policy == "error" and not self.settings.keep_tokens:
                limit = None  # a check counts the row and goes on
            elif found.media:
                policy = "drop"  # a cut could fall into a picture
        pieces = [fitted(one, limit, policy) for one in several] if found.shape not in NO_LOSS else []
        return (pieces[0] if pieces else []), length, sum(map(trained_tokens, several))


def trained_tokens(rendered: Rendered) -> int:
    import numpy as np

    return int(np.count_nonzero(rendered.trained))
