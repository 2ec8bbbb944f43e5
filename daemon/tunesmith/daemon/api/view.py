"""What a job looks like: a pure fold over its events, the same in daemon, wizard and command line."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from tunesmith.daemon.api import curve
from tunesmith.daemon.api import events as e
from tunesmith.recipes.errors import ErrorBody
from tunesmith.recipes.planner.forecast import Forecast
from tunesmith.recipes.spec import STAGES_OF, TRAIN
from tunesmith.recipes.words import Said

QUEUED, RUNNING, PAUSING, CANCELLING, PAUSED, INTERRUPTED, FINISHED, FAILED, CANCELLED = (
    "queued", "running", "pausing", "cancelling", "paused", "interrupted", "finished", "failed", "cancelled",
)  # fmt: skip
AT_WORK = frozenset({RUNNING, PAUSING, CANCELLING})  # a worker process has the job
TERMINAL_STATES = frozenset({FINISHED, FAILED, CANCELLED})
RESTING_STATES = TERMINAL_STATES | {PAUSED, INTERRUPTED}  # nothing happens to it until it is queued again
RESUMABLE_STATES = RESTING_STATES - {FINISHED}
SAMPLES_KEPT = 64  # a run takes eight, and 64 at most


class StageView(msgspec.Struct, frozen=True):
    """`state` is waiting, running, done or failed."""

    name: str
    state: str = "waiting"
    done: float = 0
    total: float = 0
    unit: str = ""
    eta_s: float | None = None
    note: str = ""
    seconds: float | None = None
    note_said: Said | None = None

    @property
    def fraction(self) -> float:
        """0 to 1."""
        if self.state == "done":
            return 1.0
        return min(1.0, self.done / self.total) if self.total else 0.0


class JobView(msgspec.Struct, frozen=True):
    """`task` is train, export, evaluate, merge or benchmark; `of` the job whose artifacts it begins with, `beside`
    others that it takes some of.

    `finishing`: training was told to stop and keep what was learned. `interruptions` counts how often the daemon has
    queued the job again by itself since it last got further. `moved` is its place in the queue once a person moved it.
    `missed` are the first and last number of events that were not folded in: take the view anew.
    """

    id: int
    name: str
    state: str = QUEUED
    created: float = 0.0
    started: float | None = None
    ended: float | None = None
    attempt: int = 0
    pid: int | None = None
    folder: str = ""
    last_event: int = 0
    stages: tuple[StageView, ...] = tuple(StageView(name) for name in e.STAGES)
    task: str = TRAIN
    of: int | None = None
    beside: tuple[int, ...] = ()
    step: e.TrainStep | None = None
    losses: tuple[tuple[int, float], ...] = ()
    learning_rates: tuple[tuple[int, float], ...] = ()
    paths: tuple[e.PathTaken, ...] = ()
    limit: e.LimitMeasured | None = None
    memory: e.MemoryMeasured | None = None
    checkpoint: e.CheckpointSaved | None = None
    resumed: e.Resumed | None = None
    stopped_early: e.StoppedEarly | None = None
    data: tuple[e.DataChecked, ...] = ()
    scores: tuple[e.Scored, ...] = ()
    base: e.BaseChosen | None = None
    answers: tuple[e.Answered, ...] = ()
    measured: tuple[e.Measured, ...] = ()
    benchmarks: tuple[e.Benchmarked, ...] = ()
    samples: tuple[e.Sampled, ...] = ()
    artifacts: tuple[e.ArtifactWritten, ...] = ()
    verified: tuple[e.Verified, ...] = ()
    forecast: Forecast | None = None
    waiting: e.Waiting | None = None
    shrunk: e.Shrunk | None = None
    gauges: e.Gauged | None = None
    notices: tuple[e.Notice, ...] = ()
    error: ErrorBody | None = None
    missed: tuple[int, int] | None = None
    finishing: bool = False
    stalled: e.Stalled | None = None
    interrupted: str = ""
    interruptions: int = 0
    moved: float | None = None

    @property
    def ended_already(self) -> bool:
        """No worker has it, and none will until it is queued again."""
        return self.state in RESTING_STATES

    @property
    def place(self) -> float:
        """Lower places start first."""
        return float(self.id) if self.moved is None else self.moved

    def stage(self, name: str) -> StageView:
        return next(stage for stage in self.stages if stage.name == name)

    def correct(self, subject: str) -> tuple[int, int]:
        """Right answers and graded answers of `subject` on the held-out questions."""
        mine = [a for a in self.answers if a.subject == subject and a.set_name == "held_out"]
        graded = [a for a in mine if a.correct is not None]
        return sum(bool(a.correct) for a in graded), len(graded)

    def held_out_losses(self) -> list[tuple[float, float]]:
        """(step, loss) on rows that are not trained on: of the base at the begin, of the tuned model at the end."""
        scores = {score.subject: score.held_out_loss for score in self.scores}
        last = self.step.step if self.step is not None else 0
        found = ((1.0, scores.get("base")), (float(last), scores.get("tuned")))
        return [(step, loss) for step, loss in found if loss is not None]

    def stopped(self, subject: str) -> tuple[int, int]:
        """Answers of `subject` on the held-out questions that ended by themselves, and all of those answers."""
        mine = [a for a in self.answers if a.subject == subject and a.set_name == "held_out" and a.stopped is not None]
        return sum(bool(a.stopped) for a in mine), len(mine)


def _waiting(names: Iterable[str]) -> tuple[StageView, ...]:
    return tuple(StageView(name) for name in names)


def _stage(view: JobView, name: str) -> StageView:
    """As it is so far; a stage that the job does not have is shown nowhere."""
    return next((stage for stage in view.stages if stage.name == name), StageView(name))


def _with_stage(view: JobView, stage: StageView) -> JobView:
    return msgspec.structs.replace(view, stages=tuple(stage if s.name == stage.name else s for s in view.stages))


def _again(view: JobView, by_person: bool) -> JobView:
    """At the begin of another attempt: its stages start over; the curve so far, what it can resume from and what was
    forecast remain; what was asked of the attempt before remains unless a person begins anew.
    """
    return JobView(
        view.id,
        view.name,
        created=view.created,
        attempt=view.attempt,
        folder=view.folder,
        last_event=view.last_event,
        stages=_waiting(stage.name for stage in view.stages),
        task=view.task,
        of=view.of,
        beside=view.beside,
        losses=view.losses,
        learning_rates=view.learning_rates,
        samples=view.samples,
        checkpoint=view.checkpoint,
        forecast=view.forecast,
        shrunk=view.shrunk,
        notices=view.notices,
        finishing=view.finishing and not by_person,
        interruptions=0 if by_person else view.interruptions,
        moved=view.moved,
    )


def _before(view: JobView, step: int) -> JobView:
    """Without what an earlier attempt did from `step` on: it is done again."""
    outlived = view.checkpoint is not None and view.checkpoint.step >= step
    return msgspec.structs.replace(
        view,
        losses=tuple(point for point in view.losses if point[0] < step),
        learning_rates=tuple(point for point in view.learning_rates if point[0] < step),
        samples=tuple(sample for sample in view.samples if sample.step < step),
        checkpoint=None if outlived else view.checkpoint,
    )


_AFTER_REST: dict[str, tuple[type, ...]] = {
    FINISHED: (e.Cleaned,),
    FAILED: (e.Queued, e.Cleaned),
    CANCELLED: (e.Queued, e.Cleaned),
    PAUSED: (e.Queued, e.Cancelled),
    INTERRUPTED: (e.Queued, e.Cancelled, e.Cleaned),
}


def _rests(view: JobView, state: str, time: float) -> JobView:
    return msgspec.structs.replace(view, state=state, ended=time, pid=None, stalled=None)


def fold(view: JobView, numbered: e.Numbered) -> JobView:
    """The view after one more event. An event at or below `last_event` changes nothing (replays are harmless).

    Gauges are no part of the history: they are shown while the job runs, whatever their number. A gap is remembered in
    `missed`, for whoever holds the view must not take it for the whole.
    """
    if isinstance(numbered.event, e.Gauged):
        return view if view.ended_already else msgspec.structs.replace(view, gauges=numbered.event)
    if isinstance(numbered.event, e.Gap):
        gap = (numbered.event.first, numbered.event.last)
        return msgspec.structs.replace(view, missed=gap) if gap[1] > view.last_event else view
    if numbered.number <= view.last_event:
        return view
    replace = msgspec.structs.replace
    view = replace(view, last_event=numbered.number)
    if view.ended_already and not isinstance(numbered.event, _AFTER_REST[view.state]):
        return view
    match numbered.event:
        case e.Queued(automatic=automatic) if view.ended_already:
            return _again(view, by_person=not automatic)
        case e.Queued(time=time, task=task, of=of, beside=beside, stages=names) if not view.created:
            stages = _waiting(names or STAGES_OF.get(task, e.STAGES))
            return replace(view, created=time, task=task, of=of, beside=beside, stages=stages)
        case e.Queued(time=time):
            return replace(view, created=time)
        case e.Started(time=time, attempt=attempt, pid=pid):
            return replace(_again(view, by_person=False), state=RUNNING, started=time, attempt=attempt, pid=pid)
        case e.Adopted(pid=pid):
            return replace(view, pid=pid)
        case e.StageStarted(stage=name):
            return _with_stage(view, replace(_stage(view, name), state="running"))
        case e.StageProgress() as p:
            running = StageView(p.stage, "running", p.done, p.total, p.unit, p.eta_s, p.note, note_said=p.note_said)
            return _with_stage(view, running)
        case e.StageFinished(stage=name, seconds=seconds):
            return _with_stage(view, replace(_stage(view, name), state="done", seconds=seconds, eta_s=None))
        case e.BaseChosen() as base:
            return replace(view, base=base)
        case e.TrainStep() as step:
            if view.losses and view.losses[-1][0] >= step.step:
                view = _before(view, step.step)
            return replace(
                view,
                step=step,
                losses=curve.extended(view.losses, step.step, step.loss),
                learning_rates=curve.extended(view.learning_rates, step.step, step.learning_rate),
            )
        case e.PathsChosen(paths=paths):
            return replace(view, paths=paths)
        case e.LimitMeasured() as limit:
            return replace(view, limit=limit)
        case e.MemoryMeasured() as memory:
            return replace(view, memory=memory)
        case e.CheckpointSaved() as checkpoint:
            further = view.checkpoint is None or checkpoint.step > view.checkpoint.step
            return replace(view, checkpoint=checkpoint, interruptions=0 if further else view.interruptions)
        case e.Resumed() as resumed:
            return replace(view, resumed=resumed)
        case e.StoppedEarly() as stopped:
            return replace(view, stopped_early=stopped)
        case e.DataChecked() as checked:
            return replace(view, data=(*view.data, checked))
        case e.Scored() as scored:
            return replace(view, scores=(*view.scores, scored))
        case e.Answered() as answer:
            return replace(view, answers=(*view.answers, answer))
        case e.Measured() as measured:
            return replace(view, measured=(*view.measured, measured))
        case e.Benchmarked() as benchmark:
            return replace(view, benchmarks=(*view.benchmarks, benchmark))
        case e.Sampled() as sample:
            return replace(view, samples=(*view.samples, sample)[-SAMPLES_KEPT:])
        case e.ArtifactWritten() as artifact:
            return replace(view, artifacts=(*view.artifacts, artifact))
        case e.Verified() as verified:
            return replace(view, verified=(*view.verified, verified))
        case e.Forecasted(forecast=forecast):
            return replace(view, forecast=forecast)
        case e.Waiting() as waiting:
            return replace(view, waiting=waiting)
        case e.Shrunk() as shrunk:
            return replace(view, shrunk=shrunk)
        case e.Notice() as notice:
            return replace(view, notices=(*view.notices, notice)[-200:])
        case e.Moved(place=place):
            return replace(view, moved=place)
        case e.Cleaned(part=part):
            saved = None if part == "checkpoints" else view.checkpoint
            return replace(view, checkpoint=saved, artifacts=() if part == "artifacts" else view.artifacts)
        case e.Stalled() as stalled:
            return replace(view, stalled=stalled)
        case e.Woke():
            return replace(view, stalled=None)
        case e.PauseRequested():
            return replace(view, state=PAUSING)
        case e.FinishRequested():
            return replace(view, finishing=True)
        case e.CancelRequested():
            return replace(view, state=CANCELLING)
        case e.Finished(time=time):
            return replace(_rests(view, FINISHED, time), checkpoint=None)  # they are removed
        case e.Cancelled(time=time):
            return _rests(view, CANCELLED, time)
        case e.Paused(time=time):
            return _rests(view, PAUSED, time)
        case e.Interrupted() as cut:
            error = ErrorBody("interrupted", cut.message, cut.hint)
            counted = view.interruptions + 1
            rests = _rests(view, INTERRUPTED, cut.time)
            return replace(rests, error=error, interrupted=cut.reason, interruptions=counted)
        case e.Failed() as failed:
            stages = tuple(replace(s, state="failed") if s.state == "running" else s for s in view.stages)
            error = ErrorBody(failed.code, failed.message, failed.hint)
            return replace(_rests(view, FAILED, failed.time), stages=stages, error=error)
