"""Which checkpoints stay, and what a disk without room for them costs: never the training."""

from __future__ import annotations

import resource
import signal
from pathlib import Path

import pytest
import stopped
from stopped import Another, Told

from tunesmith.daemon.api import events as e
from tunesmith.daemon.worker.context import Context
from tunesmith.daemon.worker.data import prepare
from tunesmith.daemon.worker.train import kept, run, set_up

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def context(another: Another) -> Context:
    context = another({})
    for step in (2, 4, 10):
        (context.checkpoints / f"step-{step}").mkdir(parents=True)
    return context


def left(context: Context) -> list[str]:
    return [path.name for path in kept.steps(context.checkpoints)]


def warnings(events: list[e.Event]) -> list[str]:
    """Of saving; the data are so few that they are warned of too."""
    texts = [event.text for event in events if isinstance(event, e.Notice) and event.level == "warning"]
    return [text for text in texts if "saved" in text or "checkpoint" in text]


def with_free(monkeypatch: pytest.MonkeyPatch, *free: int) -> None:
    """Bytes free beside SPARE_BYTES, look after look; the last one stays."""
    looks = iter(free)
    monkeypatch.setattr(kept, "free_bytes", lambda folder: kept.SPARE_BYTES + next(looks, free[-1]))


def test_the_newest_two_stay(context: Context, told: Told) -> None:
    kept.keep_newest(context, 100)
    assert left(context) == ["step-4", "step-10"] and warnings(told(context)) == []


def test_one_stays_where_the_next_would_find_no_room(
    context: Context, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_free(monkeypatch, 99)
    kept.keep_newest(context, 100)
    kept.keep_newest(context, 100)
    assert left(context) == ["step-10"]
    (text,) = warnings(told(context))
    assert text.startswith("Only one checkpoint is kept: the disk has ")


def test_older_ones_make_room_and_the_newest_never_goes(
    context: Context, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_free(monkeypatch, 50, 100)
    kept.make_room(context, 100)
    assert left(context) == ["step-4", "step-10"]
    with_free(monkeypatch, 50)
    with pytest.raises(OSError, match="are free, it needs"):
        kept.make_room(context, 100)
    assert left(context) == ["step-10"]


def test_a_write_that_fails_in_the_middle_of_a_save_costs_no_training_and_leaves_nothing(
    tiny_model: Path, tmp_path: Path, another: Another, told: Told
) -> None:
    values = stopped.parts(tiny_model, tmp_path, epochs=1, learning_rate=0.001, tuner={"kind": "full"})
    (whole,) = stopped.chain(another(values), None)
    expected = stopped.weights(whole)
    context = another(values)
    prepare.run(context)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    # Below the weights, above all that training writes beside them: the system itself refuses, as on a full disk.
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, before[1]))
    try:
        set_up.run(context)
        run.run(context)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert list(context.checkpoints.iterdir()) == []
    said = [text.partition(":")[0] for text in warnings(told(context))]
    assert said == [f"Step {step} could not be saved" for step in (2, 4, 6)]
    assert stopped.weights(context) == expected
