"""What the queue and the planner say of a job, in words: why it waits, what was made smaller."""

from __future__ import annotations

from tunesmith.daemon.api.listing import JobLine
from tunesmith.daemon.api.view import QUEUED, JobView
from tunesmith.recipes.units import bytes_text
from tunesmith.tui.forecast_text import name_of
from tunesmith.tui.texts import shown, t


def waiting_text(view: JobView | JobLine) -> str:
    """What a queued job waits for; empty where it does not wait, or only for those before it."""
    if view.state != QUEUED or view.waiting is None:
        return ""
    waiting = view.waiting
    free = bytes_text(waiting.free)
    return t("run.waits", what=_name(waiting.what), needed=bytes_text(waiting.needed), free=free)


def waiting_short(view: JobView | JobLine) -> str:
    """The same for a table: what is missing."""
    if not waiting_text(view) or view.waiting is None:
        return ""
    missing = view.waiting.needed - view.waiting.free
    return t("jobs.waits", what=_name(view.waiting.what), bytes=bytes_text(missing))


def _name(what: str) -> str:
    key = f"forecast.what_{what}"
    return what if shown(key) == key else shown(key)


def shrunk_text(view: JobView) -> str:
    """What was made smaller after memory ran out; empty where nothing was."""
    if view.shrunk is None:
        return ""
    changes = ", ".join(f"{name_of(change.key)} {change.before} → {change.after}" for change in view.shrunk.changes)
    return t("run.shrunk", changes=changes)
