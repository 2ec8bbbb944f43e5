"""Bytes of any length that need no memory: a random period, again and again, sent from a file by the system itself."""

from __future__ import annotations

import hashlib
import os
import random
import socket
import tempfile
from functools import cached_property

PERIOD = (8 << 20) + 4099  # not a multiple of any piece, so that no two pieces are the same


class Blob:
    """The same bytes for the same length and seed."""

    def __init__(self, size: int, seed: int = 0) -> None:
        self.size = size
        self.period = random.Random(seed).randbytes(min(PERIOD, max(size, 1)))
        self.file = tempfile.TemporaryFile()  # noqa: SIM115 - for as long as the blob
        self.file.write(self.period)
        self.file.flush()

    def __len__(self) -> int:
        return self.size

    @cached_property
    def sha256(self) -> str:
        digest = hashlib.sha256()
        for start in range(0, self.size, len(self.period)):
            digest.update(memoryview(self.period)[: self.size - start])
        return digest.hexdigest()

    def part(self, start: int, end: int) -> bytes:
        found = bytearray()
        while start < end:
            offset = start % len(self.period)
            found += self.period[offset : offset + end - start]
            start += min(end - start, len(self.period) - offset)
        return bytes(found)

    def send(self, connection: socket.socket, start: int, end: int) -> int:
        """One part of it, from `start` on; how many bytes the system took."""
        offset = start % len(self.period)
        return os.sendfile(connection.fileno(), self.file.fileno(), offset, min(end - start, len(self.period) - offset))
