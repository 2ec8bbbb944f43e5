"""How long a run still takes: what its running stage says of itself, and the forecast of the stages that wait."""

from __future__ import annotations

from tunesmith.daemon.api.view import RUNNING, JobView
from tunesmith.recipes.units import duration_text
from tunesmith.tui.texts import t

SAID_ALONE = 0.2  # of the longer one: a narrower range is said as one number


def expected(view: JobView) -> dict[str, float]:
    """Seconds of each stage that has not begun, where a forecast knows them."""
    if view.forecast is None:
        return {}
    known = {stage.stage: stage.seconds for stage in view.forecast.stages if stage.seconds > 0}
    return {stage.name: known[stage.name] for stage in view.stages if stage.state == "waiting" and stage.name in known}


def seconds_left(view: JobView) -> tuple[float, float] | None:
    """To the end of the run, from at least to at most; None while the running stage cannot tell."""
    running = next((stage for stage in view.stages if stage.state == "running"), None)
    if view.state != RUNNING or running is None or running.eta_s is None or view.forecast is None:
        return None
    waiting = sum(expected(view).values())
    below, above = view.forecast.time_spread
    return running.eta_s + waiting * (1 - below), running.eta_s + waiting * (1 + above)


def left_text(view: JobView) -> str:
    """`all done in about 2:10`, or a range; empty where nobody knows."""
    if (left := seconds_left(view)) is None:
        return ""
    low, high = left
    if high - low <= SAID_ALONE * high:
        return t("live.all_left", time=duration_text((low + high) / 2))
    return t("live.all_left_range", low=duration_text(low), high=duration_text(high))
