"""A job's view is a fold: replays change nothing, an ended job stays ended, a new attempt starts over."""

from __future__ import annotations

from functools import reduce
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.daemon.api import curve
from tunesmith.daemon.api import events as e
from tunesmith.daemon.api import view as v
from tunesmith.recipes.intervals import Interval


def step(number: int, loss: float = 1.0) -> e.TrainStep:
    return e.TrainStep(
        time=0.0, step=number, total_steps=9, epoch=0.0, loss=loss, learning_rate=1e-4, gradient_norm=1.0,
        tokens_per_second=100.0, memory_bytes=1, eta_s=1.0,
    )  # fmt: skip


def answered(row: int, correct: bool | None, subject: str = "tuned", set_name: str = "held_out") -> e.Answered:
    return e.Answered(time=0.0, subject=subject, row=row, question="q", answer="a", correct=correct, set_name=set_name)


def measured(time: float) -> e.Measured:
    one = Interval(0.5, 0.2, 0.8)
    return e.Measured(time=time, name="chrf", score="chrf", rows=2, before=one, after=one, change=one)


times = st.floats(min_value=0, max_value=2e9)
stages = st.sampled_from(e.STAGES)
events: st.SearchStrategy[e.Event] = st.one_of(
    st.builds(e.Queued, time=times),
    st.builds(e.Started, time=times, attempt=st.integers(1, 5), pid=st.integers(2, 9999)),
    st.builds(e.Adopted, time=times, pid=st.integers(2, 9999)),
    st.builds(e.StageStarted, time=times, stage=stages),
    st.builds(e.StageProgress, time=times, stage=stages, done=times, total=times, unit=st.just("rows")),
    st.builds(e.StageFinished, time=times, stage=stages, seconds=times),
    st.builds(step, st.integers(1, 999)),
    st.builds(lambda number: saved(number), st.integers(1, 999)),
    st.builds(e.Resumed, time=times, step=st.integers(1, 999), attempt=st.integers(2, 5)),
    st.builds(answered, st.integers(0, 20), st.none() | st.booleans()),
    st.builds(lambda time: measured(time), times),
    st.builds(
        e.Sampled, time=times, step=st.integers(1, 999), row=st.integers(0, 3), question=st.just("q"), answer=st.text()
    ),
    st.builds(e.Notice, time=times, level=st.just("info"), text=st.text(max_size=20)),
    st.builds(e.CancelRequested, time=times),
    st.builds(e.Finished, time=times, seconds=times),
    st.builds(e.Failed, time=times, code=st.just("data"), message=st.text(max_size=20)),
    st.builds(e.Cancelled, time=times),
    st.builds(e.PauseRequested, time=times),
    st.builds(e.FinishRequested, time=times),
    st.builds(e.Paused, time=times),
    st.builds(e.Moved, time=times, place=times),
    st.builds(e.Stalled, time=times, silent_s=times),
    st.builds(e.Woke, time=times),
    st.builds(e.Cleaned, time=times, part=st.sampled_from(["work", "checkpoints", "journals", "artifacts"])),
    st.builds(e.Interrupted, time=times, reason=st.just("reboot"), message=st.text(max_size=20)),
)
histories = st.lists(events, max_size=40).map(
    lambda happened: [e.Numbered(number, event) for number, event in enumerate(happened, 1)]
)
NEW = v.JobView(id=7, name="run")


def folded(history: list[e.Numbered], view: v.JobView = NEW) -> v.JobView:
    return reduce(v.fold, history, view)


@given(histories)
def test_replaying_a_history_changes_nothing(history: list[e.Numbered]) -> None:
    once = folded(history)
    assert folded(history, once) == once


@given(histories, st.data())
def test_a_reconnect_from_any_point_gives_the_same_view(history: list[e.Numbered], data: st.DataObject) -> None:
    seen = data.draw(st.integers(0, len(history)))
    again = data.draw(st.integers(0, seen))
    assert folded(history[again:], folded(history[:seen])) == folded(history)


@given(histories)
def test_an_ended_job_stays_as_it_ended_until_it_is_queued_again(history: list[e.Numbered]) -> None:
    queued = [numbered.number for numbered in history if isinstance(numbered.event, e.Queued)]
    ended = [one for one in history if isinstance(one.event, e.TERMINAL) and one.number > max(queued, default=0)]
    view = folded(history)
    if ended:
        first = folded(history[: ended[0].number])
        if first.state in (v.PAUSED, v.INTERRUPTED):  # a job that rests can still be cancelled
            cancelled = [one for one in ended if isinstance(one.event, e.Cancelled)]
            first = folded(history[: cancelled[0].number]) if cancelled else first
        assert first.ended_already and view.pid is None
        after = {"last_event": first.last_event, "checkpoint": first.checkpoint, "artifacts": first.artifacts}
        assert msgspec.structs.replace(view, **after) == first  # files may be removed; what happened is not


@given(histories)
def test_a_finished_job_is_never_queued_again(history: list[e.Numbered]) -> None:
    finished = folded([*history, e.Numbered(len(history) + 1, e.Queued(time=0.0))])
    done = e.Numbered(len(history) + 2, e.Finished(time=1.0, seconds=1.0))
    again = e.Numbered(len(history) + 3, e.Queued(time=2.0))
    assert folded([done, again], finished).state == v.FINISHED


@given(histories)
def test_a_view_and_its_events_cross_the_socket_unchanged(history: list[e.Numbered]) -> None:
    view = folded(history)
    assert msgspec.json.decode(msgspec.json.encode(view), type=v.JobView) == view
    for numbered in history:
        line = e.encode(numbered.event)
        assert b"\n" not in line
        assert e.decode(line) == numbered.event


@given(histories)
def test_every_stage_is_always_there_once_and_in_order(history: list[e.Numbered]) -> None:
    view = folded(history)
    assert tuple(stage.name for stage in view.stages) == e.STAGES
    assert all(0 <= stage.fraction <= 1 for stage in view.stages)


def run(*happened: e.Event) -> v.JobView:
    return folded([e.Numbered(number, event) for number, event in enumerate(happened, 1)])


def saved(number: int) -> e.CheckpointSaved:
    return e.CheckpointSaved(time=0.0, step=number, path=f"checkpoints/step-{number}", bytes=1, seconds=0.1)


FAILED_AFTER_THREE = (
    e.Queued(time=1.0),
    e.Started(time=2.0, attempt=1, pid=10),
    step(1), step(2), saved(2), step(3), answered(0, True),
    e.Failed(time=3.0, code="worker_died", message="gone"),
    e.Queued(time=4.0),
)  # fmt: skip


def test_a_job_queued_again_waits_with_its_curve_and_its_checkpoint() -> None:
    view = run(*FAILED_AFTER_THREE)
    assert (view.state, view.error, view.ended, view.created, view.attempt) == (v.QUEUED, None, None, 1.0, 1)
    assert [number for number, _ in view.losses] == [1, 2, 3]
    assert view.checkpoint == saved(2)


def test_a_new_attempt_counts_nothing_of_the_earlier_one_twice() -> None:
    started = e.Started(time=5.0, attempt=2, pid=11)
    view = run(*FAILED_AFTER_THREE, started, e.Resumed(time=5.0, step=2, attempt=2), step(3, 0.5), step(4))
    assert (view.state, view.attempt, view.pid, view.created, view.started) == (v.RUNNING, 2, 11, 1.0, 5.0)
    assert view.losses == ((1, 1.0), (2, 1.0), (3, 0.5), (4, 1.0))
    assert view.resumed is not None and view.checkpoint == saved(2)
    assert view.correct("tuned") == (0, 0)


def test_an_attempt_that_begins_anew_forgets_the_curve_and_the_checkpoint() -> None:
    view = run(*FAILED_AFTER_THREE, e.Started(time=5.0, attempt=2, pid=11), step(1, 0.5))
    assert view.losses == ((1, 0.5),)
    assert view.checkpoint is None


def test_a_stage_goes_from_waiting_over_running_to_done() -> None:
    started = e.StageStarted(time=0.0, stage="train")
    half = e.StageProgress(time=0.0, stage="train", done=5, total=10, unit="steps", eta_s=3.0)
    finished = e.StageFinished(time=0.0, stage="train", seconds=8.0)
    assert run().stage("train").state == "waiting"
    assert run(started).stage("train").state == "running"
    assert run(started, half).stage("train").fraction == 0.5
    done = run(started, half, finished).stage("train")
    assert (done.state, done.fraction, done.seconds, done.eta_s) == ("done", 1.0, 8.0, None)


def test_a_failure_marks_the_stage_it_happened_in_and_keeps_the_way_out() -> None:
    view = run(
        e.StageStarted(time=0.0, stage="prepare"),
        e.Failed(time=9.0, code="data", message="no rows", hint="Add rows."),
    )
    assert view.state == v.FAILED
    assert view.stage("prepare").state == "failed"
    assert view.error is not None
    assert (view.error.code, view.error.hint) == ("data", "Add rows.")


def test_only_graded_held_out_answers_count_as_right_or_wrong() -> None:
    view = run(
        answered(0, True), answered(1, False), answered(2, None), answered(3, True, subject="base"),
        answered(4, True, set_name="general"),
    )  # fmt: skip
    assert view.correct("tuned") == (1, 2)
    assert view.correct("base") == (1, 1)
    assert view.correct("gguf") == (0, 0)


def test_a_very_long_run_keeps_all_of_its_curve_in_bounded_room() -> None:
    view, last = v.JobView(1, "long"), 3 * curve.MOST + 10
    for number in range(1, last + 1):
        # A spike near the begin, one in the middle and a dip, as single steps.
        loss = {700: 9.0, last // 2: 8.0, last // 3: 0.01}.get(number, 1.0)
        event = msgspec.structs.replace(step(number), loss=loss)
        view = v.fold(view, e.Numbered(number, event))
        assert len(view.losses) <= curve.MOST
    steps = [at for at, _ in view.losses]
    assert steps == sorted(set(steps)) and (steps[0], steps[-1]) == (1, last)
    assert {(700, 9.0), (last // 2, 8.0), (last // 3, 0.01)} <= set(view.losses)
    gaps = [later - earlier for earlier, later in pairwise(steps)]
    assert max(gaps) <= 2 * -(-last // (curve.MOST // 4)), "no part of the run is missing"


@pytest.mark.parametrize(
    "line", [b"", b"{}", b'{"type": "unheard_of", "time": 1}', b'{"type": "finished"}', b'{"type"']
)
def test_a_line_that_is_no_event_is_refused(line: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        e.decode(line)


def test_an_early_end_and_why_a_resume_is_not_exact_are_part_of_the_view() -> None:
    resumed = e.Resumed(time=0.0, step=2, attempt=2, exact=False, reasons=("threads was 2 and is 1",))
    ended = e.StoppedEarly(time=0.0, step=3, total_steps=9)
    view = run(e.Queued(time=0.0), e.Started(time=0.0, attempt=2, pid=1), resumed, ended)
    assert (view.resumed, view.stopped_early) == (resumed, ended)
    assert e.decode(b'{"type":"resumed","time":0,"step":2,"attempt":2}') == e.Resumed(time=0, step=2, attempt=2)
