"""Cyclic garbage is collected while nobody types: a whole collection takes 50 to 100 ms, which a key would wait for."""

from __future__ import annotations

import gc
import time

LOOK_EVERY_S = 0.05
IDLE_S = 0.3  # without a key or the mouse
ANSWERED_S = 0.06  # after a key its answer is drawn, and the next one hardly there
WORTH_IT = 5_000  # objects that came and stayed since the last time
TOO_MANY = 20_000  # the young are not waited with: some 10 ms


class IdleCollection:
    """After `begin` nothing is collected by itself: call `look` every LOOK_EVERY_S, `touched` at a person's input.

    What lives at `begin` (modules, styles, the first screen) is never looked at again.
    """

    def __init__(self) -> None:
        self._touched = time.monotonic()
        self._survivors = False  # of the young

    def begin(self) -> None:
        gc.collect()
        gc.freeze()
        gc.disable()

    def touched(self) -> None:
        self._touched = time.monotonic()

    def idle_s(self) -> float:
        """Seconds without a key or the mouse."""
        return time.monotonic() - self._touched

    def look(self) -> None:
        came, idle_s = gc.get_count()[0], self.idle_s()
        if idle_s >= IDLE_S:
            if came >= WORTH_IT or self._survivors:
                gc.collect()
                self._survivors = False
        elif came >= TOO_MANY and (idle_s >= ANSWERED_S or came >= 10 * TOO_MANY):
            gc.collect(0)
            self._survivors = True
