"""A run that was cut off through no fault of its own is queued again by itself, but not for ever."""

from __future__ import annotations

import time

from tunesmith.daemon.api import events as e
from tunesmith.daemon.api.view import JobView

# In a row without a newer checkpoint: a run that brings the machine down must not do so at every start of it.
MOST = 3
SENTENCES = {
    "reboot": "The machine was restarted, or lost power, while the run was at work",
    "worker_gone": "The worker process ended while no daemon was there to see it",
    "never_began": "The daemon ended while it was starting the run's worker process",
    "terminated": "The worker process was told to end, and not by Tunesmith",
}


def answer(view: JobView, reason: str) -> tuple[e.Event, ...]:
    """What is written of a job at work whose worker is gone: interrupted, and queued again unless that led nowhere."""
    now = time.time()
    message = SENTENCES[reason]
    cut = e.Interrupted(time=now, reason=reason, message=message, hint=_hint(view), stage=running_stage(view))
    if view.interruptions >= MOST:
        return (cut,)
    return (cut, *again(view, f"{message}; it goes on"))


def again(view: JobView, because: str) -> tuple[e.Event, ...]:
    """Queued by the daemon itself, with a word to the person."""
    now = time.time()
    begin = f"after step {view.checkpoint.step}" if view.checkpoint is not None else "from the start"
    return (
        e.Queued(time=now, automatic=True),
        e.Notice(time=now, level="info", text=f"{because} {begin}."),
    )


def running_stage(view: JobView) -> str:
    return next((stage.name for stage in view.stages if stage.state == "running"), "")


def _hint(view: JobView) -> str:
    if view.interruptions >= MOST:
        return (
            f"That happened {view.interruptions + 1} times without getting further. Look at `tunesmith jobs logs "
            f"{view.id}`, then go on with `tunesmith resume {view.id}`."
        )
    return f"Go on with `tunesmith resume {view.id}`."
