"""Fetches the pieces of a download's files over several connections, each in a thread, and bears with what hubs do.

What may pass is tried again, after a pause that grows and that the hub may set, until nothing arrives for too long.
"""

from __future__ import annotations

import random
import threading
import time

from tunesmith.daemon.hubs import Hub, refusals
from tunesmith.daemon.hubs.answers import Broken
from tunesmith.daemon.hubs.arriving import Arriving, Queue
from tunesmith.daemon.hubs.connection import Answer, Client
from tunesmith.daemon.hubs.limits import Limits
from tunesmith.daemon.hubs.partial_file import Piece
from tunesmith.recipes.errors import TunesmithError

READ_BYTES = 1 << 20  # at a time, where so much has arrived already
STOP_WITHIN_S = 2.0
IGNORED_BEFORE = 3  # whole files for a part before a server that had known ranges counts as one that does not
FAR_SLOWER = 0.1  # of the fastest connection of this download
SLOWEST = 512.0  # bytes a second: below that a connection is given up in any case


class Transfer:
    """The threads that fetch; `stop` ends them and leaves what arrived in a state to go on from."""

    def __init__(self, hub: Hub, queue: Queue, limits: Limits) -> None:
        self.hub, self.queue, self.limits = hub, queue, limits
        self.client = Client(limits)
        self.answers: set[Answer] = set()
        self.not_before = 0.0
        self.fastest = 0.0
        count = sum(max(1, -(-arriving.file.bytes // limits.piece_bytes)) for arriving in queue.files)
        self.threads = [
            threading.Thread(target=self.work, name=f"download-{number}", daemon=True)
            for number in range(min(limits.connections, count))
        ]

    def start(self) -> None:
        for thread in self.threads:
            thread.start()

    def stop(self) -> bool:
        """Whether all threads ended; one that waits for a hub's answer writes nothing any more when it comes."""
        for answer in list(self.answers):
            answer.interrupt()
        deadline = time.monotonic() + STOP_WITHIN_S
        for thread in self.threads:
            if thread.ident is not None:
                thread.join(max(0.0, deadline - time.monotonic()))
        self.client.close()
        return not any(thread.is_alive() for thread in self.threads)

    def work(self) -> None:
        failures = 0
        try:
            while task := self.queue.take():
                arriving, piece = task
                before = arriving.bytes_there()
                try:
                    self.wait(self.not_before - time.monotonic())
                    self.fetch(arriving, piece)
                    failures = 0
                except Broken as broken:
                    arriving.source.location = ""
                    failures = 0 if arriving.bytes_there() > before else failures + 1
                    self.pause(arriving, broken, failures)
        except Exception as error:  # noqa: BLE001 - the thread that waits for the download raises it
            self.queue.stop(error)

    def fetch(self, arriving: Arriving, piece: Piece | None) -> None:
        """One request: for the rest of a piece, or for the file in one. Raises Broken, OSError, TunesmithError."""
        partial = self.queue.opened(arriving)
        try:
            if piece is not None:
                partial.prepare(piece)
            start, end = (0, arriving.file.bytes) if piece is None else (piece.start + piece.there, piece.end)
            answer = self.client.ask(arriving.source, start, end)
            self.answers.add(answer)
            try:
                if not answer.whole:
                    arriving.ranges_seen += piece is not None and len(piece) < arriving.file.bytes
                    self.receive(arriving, piece, answer)
                elif self.without_ranges(arriving):
                    if piece is not None:
                        self.queue.give_back(arriving, piece)
                        piece = None
                    self.stream(arriving, answer)
            finally:
                self.answers.discard(answer)
                answer.close()
        finally:
            if piece is not None:
                self.queue.give_back(arriving, piece)
            else:
                self.queue.end_streaming(arriving)

    def without_ranges(self, arriving: Arriving) -> bool:
        """Whether to go on with the whole file that came for a part of it."""
        arriving.ranges_ignored += 1
        if arriving.ranges_seen and arriving.ranges_ignored < IGNORED_BEFORE:
            raise Broken("the whole file was sent instead of a part")
        return self.queue.take_in_one(arriving)

    def receive(self, arriving: Arriving, piece: Piece | None, answer: Answer) -> None:
        if piece is None:
            self.stream(arriving, answer)
            return
        partial = self.queue.opened(arriving)
        pace = Pace(self)
        while piece.there < len(piece):
            data = answer.read(min(READ_BYTES, len(piece) - piece.there))
            self.refuse_stopped()
            partial.write(piece, data)
            pace.arrived(len(data))

    def stream(self, arriving: Arriving, answer: Answer) -> None:
        """The file from its start: bytes that are there already are passed over."""
        partial = self.queue.opened(arriving)
        pace = Pace(self)
        for piece in partial.pieces:
            mine = self.queue.claim(arriving, piece)
            try:
                if mine:
                    partial.prepare(piece)
                position = piece.start
                while position < piece.end:
                    data = answer.read(min(READ_BYTES, piece.end - position))
                    self.refuse_stopped()
                    position += len(data)
                    new = position - (piece.start + piece.there)
                    if mine and new > 0:
                        partial.write(piece, memoryview(data)[-new:])
                    pace.arrived(len(data))
            finally:
                if mine:
                    self.queue.give_back(arriving, piece)

    def refuse_stopped(self) -> None:
        if self.queue.stopped.is_set():
            raise Broken("the download was stopped")

    def pause(self, arriving: Arriving, broken: Broken, failures: int) -> None:
        """Raises TunesmithError when it is time to tell the person."""
        now = time.monotonic()
        patience_s = self.limits.asked_patience_s if broken.pause_s else self.limits.patience_s
        if broken.pause_s > patience_s:
            raise refusals.overrun(self.hub, arriving.file.path, broken.pause_s)
        if now - self.queue.progressed_at > patience_s and not self.queue.stopped.is_set():
            raise given_up(self.hub, arriving.file.path, broken, patience_s)
        if broken.pause_s:
            self.not_before = max(self.not_before, now + broken.pause_s)
        if failures:
            longest = min(self.limits.longest_pause_s, self.limits.first_pause_s * 2 ** min(failures - 1, 16))
            self.wait(longest * random.uniform(0.5, 1.0))  # not all at the same moment

    def wait(self, seconds: float) -> None:
        if seconds > 0:
            self.queue.stopped.wait(seconds)


class Pace:
    """Tells a connection that became far slower than those of this download are: another is likely to be better."""

    def __init__(self, transfer: Transfer) -> None:
        self.transfer = transfer
        self.since, self.bytes = time.monotonic(), 0

    def arrived(self, count: int) -> None:
        """Raises Broken for a connection that is too slow."""
        transfer, now = self.transfer, time.monotonic()
        transfer.queue.progressed_at = now
        self.bytes += count
        passed = now - self.since
        if passed < transfer.limits.slow_window_s:
            return
        rate = self.bytes / passed
        self.since, self.bytes = now, 0
        slow = rate < max(SLOWEST, FAR_SLOWER * transfer.fastest)
        transfer.fastest = max(rate, transfer.fastest / 2)  # where the whole line became slower, only for a while
        if slow:
            raise Broken(f"the connection became slow ({rate:.0f} bytes a second)")


def given_up(hub: Hub, path: str, broken: Broken, waited_s: float) -> TunesmithError:
    match broken.kind:
        case "offline":
            return refusals.offline(hub, broken.reason)
        case "busy":
            return refusals.overrun(hub, path, broken.pause_s or waited_s)
    return refusals.silent(hub, path, broken.reason, waited_s)
