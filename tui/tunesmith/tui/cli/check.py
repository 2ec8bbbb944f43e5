"""One finding of `tunesmith doctor`: what is so, what that means, and how to put it right."""

from __future__ import annotations

import msgspec

OK, WARN, FAIL = "ok", "warn", "fail"


class Check(msgspec.Struct, frozen=True):
    """`state` is ok, warn or fail; `meaning` may have several lines; `fix` is empty where there is nothing to do."""

    name: str
    state: str
    meaning: str
    fix: str = ""
    group: str = ""
