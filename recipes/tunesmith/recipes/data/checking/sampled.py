"""Sampled: how long rows are, from pieces spread over large files, counted or estimated. For plans."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from tunesmith.recipes.data import limited
from tunesmith.recipes.data.checking.check import recognised
from tunesmith.recipes.data.checking.statistics import Lengths, Tokens
from tunesmith.recipes.data.examine import Settings, examine
from tunesmith.recipes.data.files import reading, sources
from tunesmith.recipes.data.files.reading import Chunk
from tunesmith.recipes.data.files.sizes import most_rows
from tunesmith.recipes.data.files.sources import SourceFile
from tunesmith.recipes.data.rows import Sample
from tunesmith.recipes.errors import DataError

WHOLE_BYTES = 4 << 20  # files up to this size are read whole: a second with a tokenizer
PIECES, PIECE_BYTES = 16, 128 << 10  # of larger ones
# Characters a token of ordinary text with today's vocabularies; scripts without spaces have more tokens.
ASCII_CHARACTERS, OTHER_CHARACTERS = 4.0, 1.6
MESSAGE_TOKENS = 5  # what a chat template puts around a message
ALL = 1 << 30


class Sampled(msgspec.Struct, frozen=True):
    """`rows` in all, of which `looked_at` were looked at. `counted`: by the model's tokenizer, else from characters."""

    rows: int
    looked_at: int
    tokens: Tokens
    counted: bool

    @property
    def sampled(self) -> bool:
        return self.looked_at < self.rows


def lengths(paths: Sequence[str], model: str | None, trained: str = "assistant", shape: str | None = None) -> Sampled:
    """Of the rows in files, folders and globs, with the tokenizer in the folder `model`.

    Raises DataError when there are none that can be used, ModelError without a tokenizer in `model`.
    """
    files = sources.find(paths)
    known = recognised(files, shape, {})
    if known.shape is None:
        raise known.problem or nothing_usable(paths)
    settings = Settings(shape=known.shape, model=model, trained=trained, keep_samples=0 if model else ALL)
    found, looked_at, read, bytes_read = Lengths(), 0, 0, 0
    whole = sum(Path(file.path).stat().st_size for file in files) <= WHOLE_BYTES
    for chunk in reading.chunks(files) if whole else pieces(files):
        examined = examine(settings, chunk) if model is None else limited.call(examine, settings, chunk)
        looked_at += examined.rows_kept
        read += examined.rows_read
        bytes_read += chunk.end - chunk.start
        if model is None:
            add_estimated(found, examined.samples, trained)
        else:
            found.add(examined.lengths, examined.trained)
    tokens = found.summary()
    if tokens is None:
        raise nothing_usable(paths)
    if whole:
        return Sampled(looked_at, looked_at, tokens, model is not None)
    by_bytes = read * sum(Path(file.path).stat().st_size for file in files) / bytes_read if bytes_read else 0
    there = by_bytes if all(file.format == "jsonl" for file in files) else most_rows(files) or 0
    return Sampled(max(looked_at, round(there * looked_at / max(1, read))), looked_at, tokens, model is not None)


def nothing_usable(paths: Sequence[str]) -> DataError:
    return DataError(f"No row of {', '.join(paths)} can be used", f"See why: tunesmith data check {shlex.join(paths)}")


def pieces(files: Sequence[SourceFile]) -> Iterator[Chunk]:
    """Of plain JSONL whole lines at even distances; of other formats the first rows."""
    for file in files:
        if file.format == "jsonl" and not file.compression:
            yield from spread(Path(file.path), max(1, PIECES // len(files)))
        else:
            yield from first(file, max(1, PIECES // len(files)) * PIECE_BYTES)


def spread(path: Path, count: int) -> Iterator[Chunk]:
    size = path.stat().st_size
    before = 0
    with path.open("rb") as stream:
        for piece in range(count):
            wanted = size * piece // count
            stream.seek(max(before, wanted))
            if wanted > before:
                stream.readline()  # the rest of a line that began before
            start = stream.tell()
            block = stream.read(PIECE_BYTES)
            end = start + len(block) if start + len(block) >= size else start + block.rfind(b"\n") + 1
            if end <= start:  # one line longer than a piece
                stream.seek(start)
                stream.readline()
                end = stream.tell()
            if end > start:
                yield Chunk(str(path), "jsonl", 1, start, end)
            before = end


def first(file: SourceFile, most_bytes: int) -> Iterator[Chunk]:
    """Chunks are of about CHUNK_BYTES."""
    for number, chunk in enumerate(reading.chunks([file])):
        if number * reading.CHUNK_BYTES >= most_bytes:
            return
        yield chunk


def add_estimated(found: Lengths, samples: Sequence[Sample], trained: str) -> None:
    import numpy as np

    counts = [estimated(sample, trained) for sample in samples]
    found.add(np.array([all_of for all_of, _ in counts], np.int32), np.array([part for _, part in counts], np.int32))


def estimated(sample: Sample, trained: str) -> tuple[int, int]:
    """Tokens of the longest part, and those with a loss."""
    longest = learned = 0
    for part in sample.parts:
        if part.messages is None:
            longest = max(longest, tokens_of(part.text or ""))
            learned = longest
            continue
        counts = [MESSAGE_TOKENS + tokens_of(written(message.get("content"))) for message in part.messages]
        longest = max(longest, sum(counts))
        answers = [
            count
            for message, count in zip(part.messages, counts, strict=True)
            if trained == "all" or message.get("role") == "assistant"
        ]
        learned = sum(answers[-1:] if trained == "last" else answers)
    return max(1, longest), learned


def tokens_of(text: str) -> int:
    others = 0 if text.isascii() else sum(character >= "\x80" for character in text)
    return round((len(text) - others) / ASCII_CHARACTERS + others / OTHER_CHARACTERS)


def written(content: Any) -> str:
    """The text of a message, whose content may be a list of parts."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return " ".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return ""
