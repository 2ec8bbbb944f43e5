"""The daemon's log: of bounded size, lines of bounded length, and a message repeated without end is counted instead."""

from __future__ import annotations

import logging
import logging.handlers
import time
from pathlib import Path

import msgspec

FILE_BYTES = 2_000_000
LINE_CHARACTERS = 8_000  # a traceback is about half of it
BURST = 20  # lines of one place in the code
BURST_S = 10.0


class Burst(msgspec.Struct):
    """What one place in the code said since `began`; `last` is the newest that was left out."""

    began: float
    count: int = 0
    last: logging.LogRecord | None = None


class Handler(logging.handlers.RotatingFileHandler):
    """With no descriptors left, for one, asyncio says so thousands of times a second."""

    def __init__(self, path: Path, burst_s: float = BURST_S) -> None:
        super().__init__(path, maxBytes=FILE_BYTES, backupCount=2, encoding="utf-8", errors="replace")
        self._burst_s = burst_s
        self._bursts: dict[tuple[str, int], Burst] = {}
        self._look_at = 0.0

    def emit(self, record: logging.LogRecord) -> None:
        now = time.monotonic()
        if now >= self._look_at:
            self._tell_ended(now)
            self._look_at = now + self._burst_s / 10
        burst = self._bursts.setdefault((record.pathname, record.lineno), Burst(now))
        burst.count += 1
        if burst.count <= BURST:
            super().emit(record)
        else:
            burst.last = record

    def close(self) -> None:
        self._tell_ended(float("inf"))
        super().close()

    def _tell_ended(self, now: float) -> None:
        for place, burst in list(self._bursts.items()):
            if now - burst.began < self._burst_s:
                continue
            del self._bursts[place]
            if burst.last is not None:
                last = burst.last
                text = f"{burst.count - BURST} more like this one were left out: {last.getMessage()}"
                super().emit(logging.LogRecord(last.name, last.levelno, *place, text, None, None))


class Formatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = super().format(record)
        if len(line) <= LINE_CHARACTERS:
            return line
        half = LINE_CHARACTERS // 2
        return f"{line[:half]} [...] {line[-half:]}"


def log_to(path: Path) -> None:
    """From here on this process logs to `path`."""
    handler = Handler(path)
    handler.setFormatter(Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.getLogger("uvicorn").setLevel(logging.ERROR)  # it warns of every request that is no HTTP
