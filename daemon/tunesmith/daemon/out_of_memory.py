"""Out of memory: automatic values are made smaller once and the job is queued again by itself; then a person is asked.

That it happened is in the events (Failed, Queued, Shrunk, in one commit), so a daemon that is restarted in between goes
on from there; explicit values are never touched, and `recipe.yaml` stays as the person wrote it.
"""

from __future__ import annotations

import logging
import signal
import time
from pathlib import Path

import msgspec

from tunesmith.daemon import cgroup, submitted
from tunesmith.daemon.admission import LEAST, Look, model_facts, spec_of
from tunesmith.daemon.api import events as e
from tunesmith.daemon.api import learning, wording
from tunesmith.daemon.api.home import Home
from tunesmith.daemon.api.view import RUNNING, JobView, fold
from tunesmith.daemon.publish import write_whole
from tunesmith.daemon.recovery import WorkerRecord
from tunesmith.recipes.planner import Rows, shrunk
from tunesmith.recipes.planner.ways import hint, ways
from tunesmith.recipes.spec import TRAIN, JobSpec
from tunesmith.recipes.words import say

CODE = "out_of_memory"
log = logging.getLogger("tunesmith.memory")
FORECAST = ("train", "evaluate", "export")  # what their forecasts say can be changed by values
STAGES = ("probe", "train")  # where what a worker takes depends on values that can be shrunk


def killed(record: WorkerRecord, returncode: int | None, stage: str, kills: int | None) -> bool:
    """Whether a worker without a last word was ended by the system because memory ran out.

    `returncode` None: of a worker that another daemon started. `kills` is how often the system has done so by now;
    where it does not count, nobody can tell it from a kill of somebody's. A control group of the worker's own knows.
    """
    own = cgroup.memory_kills(record.cgroup)
    if own is not None:
        return own > 0
    if stage not in STAGES or kills is None or record.memory_kills is None:
        return False
    return returncode in (None, -signal.SIGKILL) and kills > record.memory_kills


def answered(home: Home, view: JobView, events: tuple[e.Event, ...], machine: Look) -> tuple[e.Event, ...]:
    """What is written for `events` of the job `view`, one of which says that memory ran out.

    For a thread: it reads the model's headers. Raises OSError when the job's files cannot be read.
    """
    for place, event in enumerate(events):
        if isinstance(event, e.Failed):  # the last word
            # Not one that a person cancelled; of what does not train no value would make it smaller.
            asked = event.code == CODE and view.state == RUNNING and view.task == TRAIN
            return (*events[:place], *(_answer(home, view, event, machine) if asked else (event,)))
        view = fold(view, e.Numbered(view.last_event + 1, event))
    return events


def _answer(home: Home, view: JobView, failed: e.Failed, machine: Look) -> tuple[e.Event, ...]:
    """A second chance, or a hint that names what to set."""
    spec = spec_of(home, view)
    facts = model_facts(home, spec)
    if facts is None:
        return (failed,)
    rows = rows_of(view) or submitted.read(home.job(view.id)).rows or LEAST
    # What is free now is less than what the next attempt will find: the worker that failed may still hold its own.
    place = machine.now(home, spec.training.device).whole
    if view.shrunk is None:
        _, changes = shrunk(spec, facts, rows, place)
        if changes:
            made = [
                say("change", "{name} (from {before} to {after})", name=one.key, before=one.before, after=one.after)
                for one in changes
            ]
            english = "Memory ran out. Made smaller: {made}. The run is tried once more; what it learns stays the same."
            now = time.time()
            return (
                failed,
                e.Queued(time=now),
                e.Shrunk(time=now, changes=changes),
                wording.notice("warning", say("made_smaller", english, made=made)),
            )
    # That the forecast holds has just been proven wrong: what counts is how much each value saves.
    stage = failed.stage if failed.stage in FORECAST else "train"
    possible = ways(spec, facts, rows, place, learning.learned(home), stage)
    found = tuple(msgspec.structs.replace(way, fits=False) for way in possible)
    told = hint(found) or "Take a smaller model, or a machine with more memory."
    again = f"Close other programs and go on with `tunesmith resume {view.id}`."
    if found:
        again = f"Begin anew with that, or close other programs and go on with `tunesmith resume {view.id}`."
    return (msgspec.structs.replace(failed, hint=f"{told} {again}"),)


def rows_of(view: JobView) -> Rows | None:
    """What the worker has counted of the data before it failed; None when that was nothing."""
    counted = [data for data in view.data if data.rows_kept and data.longest]
    if not counted:
        return None
    rows, tokens = sum(data.rows_kept for data in counted), sum(data.tokens for data in counted)
    trained = sum(data.trained_tokens for data in counted)
    return Rows(
        rows=rows,
        longest=max(data.longest for data in counted),
        mean=tokens / rows,
        trained_share=trained / max(1, tokens),
        answer=trained / rows,
    )


def write_spec(home: Home, view: JobView) -> None:
    """Bring `spec.json` to what was shrunk, right before a worker reads it. Raises OSError.

    A damaged one is left as it is: the worker says so.
    """
    if view.shrunk is None:
        return
    path: Path = home.job(view.id) / "spec.json"
    try:
        spec = spec_of(home, view)
        written = msgspec.json.decode(path.read_bytes(), type=JobSpec)
    except msgspec.DecodeError as error:
        log.error("job %d: its recipe cannot be read: %s", view.id, error)
        return
    if written != spec:
        write_whole(path, msgspec.json.format(msgspec.json.encode(spec)))
