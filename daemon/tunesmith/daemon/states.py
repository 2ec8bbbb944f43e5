"""Which event may follow in which state of a job: the one table that guards every write."""

from __future__ import annotations

from tunesmith.daemon.api import events as e
from tunesmith.daemon.api import view as v

WORKER_EVENTS: tuple[type, ...] = (
    e.StageStarted, e.StageProgress, e.StageFinished, e.TrainStep, e.PathsChosen, e.LimitMeasured, e.MemoryMeasured,
    e.Forecasted, e.CheckpointSaved, e.Resumed, e.StoppedEarly, e.DataChecked, e.Scored, e.Answered, e.ArtifactWritten,
    e.Verified, e.Shrunk, e.Notice, e.Finished, e.Failed, e.Cancelled,
)  # fmt: skip

_MAY_FOLLOW: dict[str, tuple[type, ...]] = {
    v.QUEUED: (e.Started, e.Forecasted, e.Waiting, e.Shrunk, e.Notice, e.Failed, e.Cancelled),
    v.RUNNING: (e.Adopted, e.CancelRequested, *WORKER_EVENTS),
    v.CANCELLING: (e.Adopted, *WORKER_EVENTS),
    v.FINISHED: (),
    v.FAILED: (e.Queued,),  # resumed, or by itself after memory ran out
    v.CANCELLED: (e.Queued,),
}


def may_follow(state: str, event: e.Event) -> bool:
    return isinstance(event, _MAY_FOLLOW[state])
