"""Which event may follow in which state of a job: the one table that guards every write."""

from __future__ import annotations

from tunesmith.daemon.api import events as e
from tunesmith.daemon.api import view as v

WORKER_EVENTS: tuple[type, ...] = (
    e.StageStarted, e.StageProgress, e.StageFinished, e.BaseChosen, e.TrainStep, e.PathsChosen, e.LimitMeasured,
    e.MemoryMeasured, e.Forecasted, e.CheckpointSaved, e.Resumed, e.StoppedEarly, e.DataChecked, e.Scored, e.Answered,
    e.Measured, e.Benchmarked, e.Sampled, e.ArtifactWritten, e.Verified, e.Shrunk, e.Notice, e.Finished, e.Failed,
    e.Cancelled,
)  # fmt: skip

_ASIDE: tuple[type, ...] = (e.Adopted, e.Stalled, e.Woke)  # of a worker at work, whatever was asked of it

_MAY_FOLLOW: dict[str, tuple[type, ...]] = {
    v.QUEUED: (
        e.Started, e.Forecasted, e.Waiting, e.Shrunk, e.Notice, e.Moved, e.FinishRequested, e.Failed, e.Cancelled,
        e.Paused, e.Interrupted,
    ),
    v.RUNNING: (
        e.CancelRequested, e.PauseRequested, e.FinishRequested, e.Interrupted, *_ASIDE,
        *(kind for kind in WORKER_EVENTS if kind is not e.Cancelled),  # nobody asked: `meant` says what it is
    ),
    v.PAUSING: (e.CancelRequested, e.Paused, *_ASIDE, *WORKER_EVENTS),
    v.CANCELLING: (*_ASIDE, *WORKER_EVENTS),
    v.PAUSED: (e.Queued, e.Cancelled),
    v.INTERRUPTED: (e.Queued, e.Cancelled, e.Cleaned),
    v.FINISHED: (e.Cleaned,),
    v.FAILED: (e.Queued, e.Cleaned),  # resumed, or by itself after memory ran out
    v.CANCELLED: (e.Queued, e.Cleaned),
}  # fmt: skip


def may_follow(state: str, event: e.Event) -> bool:
    return isinstance(event, _MAY_FOLLOW[state])


def meant(state: str, job_id: int, event: e.Event) -> e.Event:
    """What a worker's event is in `state`: one that was told to stop knows neither by whom nor what for."""
    if isinstance(event, e.Cancelled) and state == v.PAUSING:
        return e.Paused(time=event.time)
    if isinstance(event, e.Cancelled) and state == v.RUNNING:
        return e.Interrupted(
            time=event.time,
            reason="terminated",
            message="The worker process was told to end, and not by Tunesmith",
            hint=f"If the machine was not shutting down, somebody ended it; go on with `tunesmith resume {job_id}`.",
        )
    return event
