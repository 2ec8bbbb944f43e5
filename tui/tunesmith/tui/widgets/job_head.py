"""A job in one line: its number, name and state, and where it can go on from."""

from __future__ import annotations

from textual.content import Content

from tunesmith.daemon.api.view import FINISHED, JobView
from tunesmith.recipes.units import duration_text
from tunesmith.tui.plain import one_line
from tunesmith.tui.remaining import left_text
from tunesmith.tui.texts import t

MUTED = "$foreground 60%"
STATE_STYLES = {
    "queued": ("○", "$secondary"),
    "running": ("▶", "$primary"),
    "pausing": ("‖", "$warning"),
    "cancelling": ("■", "$warning"),
    "paused": ("‖", "$secondary"),
    "interrupted": ("!", "$warning"),
    "finished": ("✓", "$success"),
    "failed": ("✗", "$error"),
    "cancelled": ("■", "$warning"),
}


def state_text(state: str) -> Content:
    """The state as symbol and word."""
    symbol, style = STATE_STYLES[state]
    return Content.styled(f"{symbol} {t(f'run.state_{state}')}", f"{style} bold")


def job_head(view: JobView | None) -> Content:
    if view is None:
        return Content.styled(t("run.waiting"), MUTED)
    parts: list[Content | str | tuple[str, str]] = [
        (t("run.job", id=view.id), "bold"), "  ", one_line(view.name), "   ", state_text(view.state)
    ]  # fmt: skip
    if view.ended and view.started:
        parts.append((f"  {duration_text(view.ended - view.started)}", MUTED))
    if view.finishing and not view.ended_already:
        parts.append((f"  {t('live.stage_finishing')}", "$warning"))
    if left := left_text(view):
        parts.append(f"  {left}")
    if view.attempt > 1:
        parts.append((f"  {t('run.attempt', attempt=view.attempt)}", MUTED))
    if view.resumed is not None:
        parts.append((f"  {t('run.resumed', step=view.resumed.step)}", MUTED))
        if not view.resumed.exact:
            parts.append((f"  {t('run.inexact')}", "$warning"))
    if view.state == FINISHED:
        parts.append((f"   {t('run.see_result')}", "$primary"))
    elif view.checkpoint is not None:
        parts.append((f"  {t('run.saved', step=view.checkpoint.step)}", MUTED))
    return Content.assemble(*parts)
