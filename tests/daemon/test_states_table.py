"""The table of states knows every event: one that it does not name would be dropped without a word."""

from __future__ import annotations

from typing import get_args

from tunesmith.daemon import states
from tunesmith.daemon.api import events as e

NEVER_WRITTEN = {e.Gauged, e.Gap}  # on streams only


def test_every_event_may_follow_in_some_state() -> None:
    known = {kind for kinds in states._MAY_FOLLOW.values() for kind in kinds}
    every = set(get_args(e.Event)) - NEVER_WRITTEN
    assert len(every) >= 25
    assert every - known == set()
