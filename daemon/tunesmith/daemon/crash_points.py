"""Named places where a process can be made to end as if it was killed: how tests reach each moment of a crash.

`TUNESMITH_CRASH_AT=store.before_commit` ends the process the first time it comes by, `store.before_commit:3` the third.
"""

from __future__ import annotations

import collections
import os
import signal

VARIABLE = "TUNESMITH_CRASH_AT"
_passed: collections.Counter[str] = collections.Counter()


def reach(name: str) -> None:
    """Does nothing unless the environment names this place."""
    wanted = os.environ.get(VARIABLE)
    if wanted is None:
        return
    place, _, time = wanted.partition(":")
    if place == name:
        _passed[name] += 1
        if _passed[name] == int(time or 1):
            os.kill(os.getpid(), signal.SIGKILL)
