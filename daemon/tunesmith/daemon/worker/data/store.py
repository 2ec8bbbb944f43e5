"""Prepared sequences on disk: flat arrays, memory-mapped, appended to by one writer while a reader already trains."""

from __future__ import annotations

import os
import shutil
import threading
from collections import Counter
from pathlib import Path
from typing import IO, Any

import msgspec
import numpy as np

from tunesmith.recipes.data.examine import Examined
from tunesmith.recipes.data.rows import Sample
from tunesmith.recipes.words import Said, of_file, of_row

Array = np.ndarray[Any, Any]
# What lies on disk: a file a name. `ids` and `masks` have an entry a token, the others one a sequence.
KINDS: dict[str, Any] = {
    "ids": np.int32, "masks": np.bool_, "ends": np.int64, "hashes": np.uint64, "questions": np.uint64,
}  # fmt: skip
SUMMARY = "summary.json"
REJECTED = "rejected.jsonl"
CANDIDATES = "candidates.jsonl"  # rows that may be held out, whole
NOTICES = 50  # of a source; a person reads no more


class Summary(msgspec.Struct):
    """What a source came to. rows_read == rows_kept + rows_rejected."""

    rows_read: int = 0
    rows_kept: int = 0
    rows_rejected: int = 0
    tokens: int = 0
    trained_tokens: int = 0
    longest: int = 0
    cut: int = 0
    rejected: list[Said | str] = msgspec.field(default_factory=list)  # text alone in older stores
    notices: list[Said | str] = msgspec.field(default_factory=list)
    findings: dict[str, int] = {}


class Store:
    """The sequences of one source in `folder`. `append` and `finish` belong to one thread, the rest to any."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.summary = Summary()
        self.available = 0  # sequences that can be read
        self.finished = False
        self._changed = threading.Condition()
        self._files: dict[str, IO[bytes]] = {}
        self._maps: dict[str, Array] = {}

    @classmethod
    def open(cls, folder: Path) -> Store | None:
        """The finished store in `folder`, None when there is none."""
        summary = folder / SUMMARY
        if not summary.is_file():
            return None
        store = cls(folder)
        store.summary = msgspec.json.decode(summary.read_bytes(), type=Summary)
        store.available = (folder / "ends").stat().st_size // np.dtype(KINDS["ends"]).itemsize
        store.finished = True
        return store

    def append(self, examined: Examined) -> None:
        """Write what one chunk came to, and let readers have it."""
        if not self._files:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._files = {name: (self.folder / name).open("wb") for name in KINDS}
        for name, rows in ((REJECTED, examined.rejected), (CANDIDATES, examined.candidates)):
            with (self.folder / name).open("ab") as lines:
                lines.writelines(msgspec.json.encode(row) + b"\n" for row in rows)
        arrays = {
            "ids": examined.ids,
            "masks": examined.masks,
            "ends": examined.ends + self.summary.tokens,
            "hashes": examined.hashes[examined.owners],
            "questions": examined.questions[examined.owners],
        }
        for name, file in self._files.items():
            file.write(np.ascontiguousarray(arrays[name], KINDS[name]).tobytes())
            file.flush()
        self._count(examined)
        with self._changed:
            self.available += len(examined.ends)
            self._changed.notify_all()

    def finish(self, final: Path) -> None:
        """Nothing more comes; the folder becomes `final`, unless another run has just made the same."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for name in KINDS:
            (self.folder / name).touch()
        for file in self._files.values():
            os.fsync(file.fileno())
            file.close()
        (self.folder / SUMMARY).write_bytes(msgspec.json.encode(self.summary))
        with self._changed:
            if final.exists():
                shutil.rmtree(self.folder)  # what is mapped stays readable
            else:
                self.folder.rename(final)
            self.folder = final
            self.finished = True
            self._changed.notify_all()

    def candidates(self) -> list[Sample]:
        """Rows that may be held out, as far as they are known."""
        path = self.folder / CANDIDATES
        lines = path.read_bytes().splitlines() if path.exists() else []
        return [msgspec.json.decode(line, type=Sample) for line in lines]

    def wake(self) -> None:
        """Let those who wait look again: the writer stopped early."""
        with self._changed:
            self._changed.notify_all()

    def wait(self, wanted: int, seconds: float) -> bool:
        """Whether `wanted` sequences are there, or all that ever will be; waits at most `seconds`."""
        with self._changed:
            return self._changed.wait_for(lambda: self.finished or self.available >= wanted, seconds)

    def ends(self, start: int, stop: int) -> Array:
        return self._read("ends", start, stop)

    def lengths(self, start: int, stop: int) -> Array:
        """Tokens of the sequences `start` to `stop`."""
        ends = self.ends(max(start - 1, 0), stop)
        return np.diff(ends, prepend=0) if start == 0 else np.diff(ends)

    def hashes(self, start: int, stop: int) -> Array:
        """Content hashes (uint64) of the rows that the sequences come from."""
        return self._read("hashes", start, stop)

    def questions(self, start: int, stop: int) -> Array:
        """Hashes (uint64) of the last user turns of those rows."""
        return self._read("questions", start, stop)

    def sequence(self, index: int) -> tuple[Array, Array]:
        """ids (int32) and mask (bool) of one sequence."""
        start = int(self.ends(index - 1, index)[0]) if index else 0
        end = int(self.ends(index, index + 1)[0])
        return self._read("ids", start, end), self._read("masks", start, end)

    def _read(self, name: str, start: int, stop: int) -> Array:
        if stop <= start:
            return np.zeros(0, KINDS[name])
        mapped = self._maps.get(name)
        if mapped is None or len(mapped) < stop:  # the file has grown since
            with self._changed:  # its folder may just be getting its final name
                mapped = self._maps[name] = np.memmap(self.folder / name, KINDS[name], "r")
        return mapped[start:stop]

    def _count(self, examined: Examined) -> None:
        total = self.summary
        total.rows_read += examined.rows_read
        total.rows_kept += examined.rows_kept
        total.rows_rejected += len(examined.rejected)
        total.tokens += len(examined.ids)
        total.trained_tokens += int(examined.masks.sum())
        total.longest = max(total.longest, int(examined.lengths.max(initial=0)))
        total.cut += examined.cut
        total.findings = dict(Counter(total.findings) + examined.findings)
        total.rejected += [of_row(row).said for row in examined.rejected[: NOTICES - len(total.rejected)]]
        for notice in examined.notices:
            if len(total.notices) < NOTICES and (told := of_file(notice).said) not in total.notices:
                total.notices.append(told)
