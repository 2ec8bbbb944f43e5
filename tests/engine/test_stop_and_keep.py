"""Stop and keep: training ends after the step that runs, and what was learned is evaluated and exported, truthfully."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import stopped
from stopped import Another, Told

from tunesmith.daemon import publish
from tunesmith.daemon.api import events as e
from tunesmith.daemon.worker import evaluate, export, trained
from tunesmith.daemon.worker.context import Context, Stopped
from tunesmith.daemon.worker.data import prepare
from tunesmith.daemon.worker.train import merge, run, set_up

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """What a worker listens to is the test's again at the end."""
    numbers = (signal.SIGTERM, signal.SIGUSR1, signal.SIGALRM, signal.SIGINT)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def after(context: Context, step: int, *numbers: int) -> None:
    """This process gets the signals, as from the daemon, once `step` was told."""
    tell = context.emit
    context.listen()

    def emit(event: e.Event) -> None:
        tell(event)
        if isinstance(event, e.TrainStep) and event.step == step:
            for number in numbers:
                os.kill(os.getpid(), number)

    context.emit = emit  # type: ignore[method-assign]


def of(kind: type[e.Event], events: list[e.Event]) -> list[e.Event]:
    return [event for event in events if isinstance(event, kind)]


def test_what_was_learned_is_evaluated_and_exported_and_says_so(
    tiny_model: Path, tmp_path: Path, another: Another, told: Told
) -> None:
    values = stopped.parts(tiny_model, tmp_path, epochs=1, save_steps=None) | {"exports": ["adapter"]}
    (whole,) = stopped.chain(another(values), None)
    curve = stopped.losses(told(whole))
    context = another(values)
    after(context, 3, signal.SIGUSR1)
    for stage, modules in (
        ("prepare", (prepare,)), ("train", (set_up, run)), ("evaluate", (evaluate,)), ("export", (merge, export)),
    ):  # fmt: skip
        context.begin(stage)
        for module in modules:
            module.run(context)
    events = told(context)
    # The steps that were taken are those of the whole training, its learning rates too.
    assert stopped.losses(events) == {step: curve[step] for step in (1, 2, 3)}
    (ended,) = of(e.StoppedEarly, events)
    assert (ended.step, ended.total_steps) == (3, 6)  # type: ignore[union-attr]
    assert [event.step for event in of(e.CheckpointSaved, events)] == [3]  # type: ignore[union-attr]
    assert len(of(e.Scored, events)) == 2
    publish.verify_folder(context.artifacts)
    kept = trained.read(context.artifacts)
    assert (kept.steps, kept.total_steps, kept.stopped_early) == (3, 6, True)
    assert "stopped early, after step 3 of 6" in (context.artifacts / "README.md").read_text()
    assert "Stop and keep" not in str(of(e.Notice, events))

    later = Context(context.job, 2)  # the power went while it was exported
    later.base = context.base
    stopped.attempt(later)
    assert stopped.losses(told(later)) == {}
    (ended,) = of(e.StoppedEarly, told(later))
    assert (ended.step, ended.total_steps) == (3, 6)  # type: ignore[union-attr]
    (resumed,) = of(e.Resumed, told(later))
    assert (resumed.step, resumed.exact) == (3, True)  # type: ignore[union-attr]
    assert stopped.weights(later) == kept.weights
    assert later.trained == kept


def test_it_ends_training_where_nothing_is_saved_too(
    tiny_model: Path, tmp_path: Path, another: Another, told: Told
) -> None:
    context = another(stopped.parts(tiny_model, tmp_path, epochs=1, save_steps=0))
    after(context, 2, signal.SIGUSR1)
    stopped.attempt(context)
    assert max(stopped.losses(told(context))) == 2 and not context.checkpoints.exists()
    assert context.trained is not None and context.trained.stopped_early


def test_a_pause_in_the_same_step_is_heeded_and_nothing_is_trained_after_it(
    tiny_model: Path, tmp_path: Path, another: Another, told: Told
) -> None:
    context = another(stopped.parts(tiny_model, tmp_path, epochs=1, save_steps=None))
    after(context, 2, signal.SIGUSR1, signal.SIGTERM)
    with pytest.raises(Stopped):
        stopped.attempt(context)
    context.deafen()
    later = Context(context.job, 2)
    later.base = context.base
    stopped.attempt(later)
    assert stopped.losses(told(later)) == {} and len(of(e.StoppedEarly, told(later))) == 1


def test_before_training_there_is_nothing_to_keep_and_it_is_told(
    tiny_model: Path, tmp_path: Path, another: Another, told: Told
) -> None:
    context = another(stopped.parts(tiny_model, tmp_path, epochs=1))
    context.listen()
    context.begin("prepare")
    os.kill(os.getpid(), signal.SIGUSR1)
    context.begin("train")
    assert not context.keeping
    (notice,) = of(e.Notice, told(context))
    assert notice.text == "Stop and keep was asked for while nothing was trained; train goes on as usual."  # type: ignore[union-attr]
