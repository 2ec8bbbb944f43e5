"""The files of a download and which of their pieces still need fetching: what its threads share, under one lock."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from tunesmith.daemon.hubs import HubFile
from tunesmith.daemon.hubs.answers import Source
from tunesmith.daemon.hubs.limits import Limits
from tunesmith.daemon.hubs.partial_file import Partial, Piece, bytes_there

MOST_OPEN = 64  # files at a time, each with two descriptors


class Arriving:
    """One file of a download.

    `waiting` are the pieces that nobody fetches yet. `in_one` is set for a server that knows no ranges: then one
    connection, marked by `streaming`, takes the file from its start.
    """

    def __init__(self, file: HubFile, source: Source, left: int) -> None:
        self.file, self.source, self.left = file, source, left
        self.partial: Partial | None = None
        self.waiting: deque[Piece] = deque()
        self.in_one = self.streaming = self.finished = False
        self.ranges_seen = self.ranges_ignored = 0

    def open(self, staged: Path, revision: str, limits: Limits) -> Partial:
        self.partial = Partial(staged, self.file, revision, limits)
        self.waiting.extend(piece for piece in self.partial.pieces if not piece.done)
        return self.partial

    def bytes_there(self) -> int:
        if self.finished:
            return self.file.bytes
        return self.left if self.partial is None else sum(piece.there for piece in self.partial.pieces)


class Queue:
    """Hands out pieces in the order of the files, so that these are finished one after the other.

    `stopped` is set when nothing more is to be done: all is there, it failed, or somebody gave it up.
    """

    def __init__(self, files: Sequence[tuple[HubFile, Source]], staged: Path, revision: str, limits: Limits) -> None:
        self.staged, self.revision, self.limits = staged, revision, limits
        self.files = [Arriving(file, source, bytes_there(staged, file, revision)) for file, source in files]
        self.unfinished = list(self.files)
        self.changed = threading.Condition()
        self.stopped = threading.Event()
        self.failure: BaseException | None = None
        self.progressed_at = time.monotonic()

    def take(self) -> tuple[Arriving, Piece | None] | None:
        """The next piece, or a file to take in one (no piece); waits for one, None when stopped."""
        with self.changed:
            while not self.stopped.is_set():
                for arriving in self.unfinished:
                    if arriving.partial is None:
                        if sum(file.partial is not None for file in self.unfinished) >= MOST_OPEN:
                            break
                        arriving.open(self.staged, self.revision, self.limits)
                        self.changed.notify_all()
                    if arriving.in_one:
                        if arriving.waiting and not arriving.streaming:
                            arriving.streaming = True
                            return arriving, None
                    elif arriving.waiting:
                        return arriving, arriving.waiting.popleft()
                self.changed.wait()
            return None

    def claim(self, arriving: Arriving, piece: Piece) -> bool:
        """For who takes a file in one and comes to `piece`: whether nobody else is at it."""
        with self.changed:
            if piece not in arriving.waiting:
                return False
            arriving.waiting.remove(piece)
            return True

    def give_back(self, arriving: Arriving, piece: Piece) -> None:
        """After work at it, which need not have ended: what is there is journalled, the rest waits for somebody."""
        partial = self.opened(arriving)
        partial.record(piece)
        with self.changed:
            if not piece.done:
                arriving.waiting.appendleft(piece)
            self.changed.notify_all()

    def again(self, arriving: Arriving, pieces: Sequence[Piece]) -> None:
        """Fetch pieces once more that had been there."""
        partial = self.opened(arriving)
        with self.changed:
            self.progressed_at = time.monotonic()
            for piece in pieces:
                partial.reset(piece)
            arriving.waiting.extend(pieces)
            self.changed.notify_all()

    def take_in_one(self, arriving: Arriving) -> bool:
        """The server sent the whole file for a part of it: whether the caller should take it from there."""
        with self.changed:
            if arriving.streaming:
                return False
            arriving.in_one = arriving.streaming = True
            return True

    def end_streaming(self, arriving: Arriving) -> None:
        with self.changed:
            arriving.streaming = False
            self.changed.notify_all()

    def finish(self, arriving: Arriving) -> None:
        with self.changed:
            arriving.finished = True
            self.unfinished.remove(arriving)
            if not self.unfinished:
                self.stopped.set()
            self.changed.notify_all()

    def wait_for(self, reached: Callable[[], bool]) -> bool:
        """False when the download stopped before."""
        with self.changed:
            self.changed.wait_for(lambda: reached() or self.stopped.is_set())
            return not self.stopped.is_set()

    def stop(self, failure: BaseException | None = None) -> None:
        with self.changed:
            if self.failure is None and not self.stopped.is_set():
                self.failure = failure
            self.stopped.set()
            self.changed.notify_all()

    def bytes_there(self) -> int:
        return sum(arriving.bytes_there() for arriving in self.files)

    def close(self) -> None:
        for arriving in self.files:
            if arriving.partial is not None:
                arriving.partial.close()

    def opened(self, arriving: Arriving) -> Partial:
        assert arriving.partial is not None
        return arriving.partial
