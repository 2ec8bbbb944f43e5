"""A run that was cut off through no fault of its own is queued again by itself, but not for ever."""

from __future__ import annotations

import time

from tunesmith.daemon.api import events as e
from tunesmith.daemon.api import wording
from tunesmith.daemon.api.view import JobView
from tunesmith.recipes.words import Words, say

# In a row without a newer checkpoint: a run that brings the machine down must not do so at every start of it.
MOST = 3
SENTENCES = {
    "reboot": say("reboot", "The machine was restarted, or lost power, while the run was at work"),
    "worker_gone": say("worker_gone", "The worker process ended while no daemon was there to see it"),
    "never_began": say("never_began", "The daemon ended while it was starting the run's worker process"),
    "terminated": say("terminated", "The worker process was told to end, and not by Tunesmith"),
}


def answer(view: JobView, reason: str) -> tuple[e.Event, ...]:
    """What is written of a job at work whose worker is gone: interrupted, and queued again unless that led nowhere."""
    now = time.time()
    message = SENTENCES[reason]
    cut = e.Interrupted(time=now, reason=reason, message=str(message), hint=_hint(view), stage=running_stage(view))
    if view.interruptions >= MOST:
        return (cut,)
    return (cut, *again(view, message))


def again(view: JobView, because: Words) -> tuple[e.Event, ...]:
    """Queued by the daemon itself, with a word to the person."""
    now = time.time()
    if view.checkpoint is None:
        words = say("goes_on_anew", "{because}; it goes on from the start.", because=because)
    else:
        step = view.checkpoint.step
        words = say("goes_on", "{because}; it goes on after step {step}.", because=because, step=step)
    return (e.Queued(time=now, automatic=True), wording.notice("info", words))


def running_stage(view: JobView) -> str:
    return next((stage.name for stage in view.stages if stage.state == "running"), "")


def _hint(view: JobView) -> str:
    if view.interruptions >= MOST:
        return (
            f"That happened {view.interruptions + 1} times without getting further. Look at `tunesmith jobs logs "
            f"{view.id}`, then go on with `tunesmith resume {view.id}`."
        )
    return f"Go on with `tunesmith resume {view.id}`."
