"""A training that was stopped goes on as if it never was: the same weights to the bit, the same curve."""

from __future__ import annotations

import errno
import signal
from pathlib import Path
from typing import Any

import pytest
import stopped
from stopped import Another, Told

from tunesmith.daemon.api import events as e
from tunesmith.daemon.worker.context import Context, Stopped
from tunesmith.daemon.worker.data import feed, prepare
from tunesmith.daemon.worker.train import checkpoint, resume, run, set_up
from tunesmith.recipes.errors import JobError

pytestmark = pytest.mark.usefixtures("one_thread")


def test_dropout_packing_and_several_stops_end_in_the_same_weights(
    tiny_model: Path, tmp_path: Path, another: Another, told: Told
) -> None:
    values = stopped.parts(tiny_model, tmp_path)
    stopped.same_as_never_stopped(another, told, values, 4, 9, 17)


def test_epochs_of_different_length_and_full_training_end_in_the_same_weights(
    tiny_model: Path, tmp_path: Path, another: Another, told: Told
) -> None:
    values = stopped.parts(tiny_model, tmp_path, 0.5, {"kind": "full"}, gradient_accumulation=2, learning_rate=0.001)
    values["training"] |= {"batch_size": 2, "packing": False}
    stopped.same_as_never_stopped(another, told, values, 6)


@pytest.mark.parametrize(
    ("tuner", "quantization", "optimizer"),
    [("lora", "nf4", "adamw_8bit"), ("full", "none", "adamw_8bit"), ("full", "none", "adafactor")],
)
def test_bases_in_4_bits_and_other_optimizers_end_in_the_same_weights(
    tuner: str, quantization: str, optimizer: str, tiny_model: Path, tmp_path: Path, another: Another, told: Told
) -> None:
    training: dict[str, Any] = {"optimizer": optimizer, "epochs": 1, "learning_rate": 0.001}
    values = stopped.parts(tiny_model, tmp_path, tuner={"kind": tuner}, **training) | {"quantization": quantization}
    stopped.same_as_never_stopped(another, told, values, 4)


def test_data_that_are_prepared_beside_the_training_end_in_the_same_weights(
    tiny_model: Path, tmp_path: Path, another: Another, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepare, "AT_ONCE_BYTES", 0)
    monkeypatch.setattr(prepare, "WINDOW", 8)
    monkeypatch.setattr(feed, "WINDOW", 8)
    stopped.same_as_never_stopped(another, told, stopped.parts(tiny_model, tmp_path), 4, 11)


def test_what_was_trained_to_the_end_is_not_trained_again(
    tiny_model: Path, tmp_path: Path, another: Another, told: Told
) -> None:
    first, second = stopped.chain(another(stopped.parts(tiny_model, tmp_path, epochs=1, save_steps=None)), None, None)
    assert [event.step for event in told(first) if isinstance(event, e.CheckpointSaved)] == [6]
    assert stopped.losses(told(second)) == {}
    assert stopped.weights(second) == stopped.weights(first)


def test_other_data_are_refused_with_a_way_out(tiny_model: Path, tmp_path: Path, another: Another) -> None:
    (first,) = stopped.chain(another(stopped.parts(tiny_model, tmp_path)), 3)
    file = tmp_path / "b.jsonl"
    file.write_text(file.read_text().replace("Vesper", "Ada", 1))
    second = Context(first.job, 2)
    second.base = first.base
    prepare.run(second)
    with pytest.raises(JobError, match="training data is not what it was at the checkpoint of step 2") as refused:
        checkpoint.newest(second)
    assert "recipe.yaml" in refused.value.hint and (first.checkpoints / "step-2").is_dir()


def test_other_surroundings_are_told_of(
    tiny_model: Path, tmp_path: Path, another: Another, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    (first,) = stopped.chain(another(stopped.parts(tiny_model, tmp_path, epochs=1)), 3)
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    second = Context(first.job, 2)
    second.base = first.base
    stopped.attempt(second)
    (resumed,) = (event for event in told(second) if isinstance(event, e.Resumed))
    assert (resumed.step, resumed.exact, resumed.reasons) == (2, False, ("threads was 1 and is 2",))
    texts = [event.text for event in told(second) if isinstance(event, e.Notice)]
    assert "Going on after step 2 is not exact to the bit: threads was 1 and is 2." in texts
    assert second.trained is not None and second.trained.inexact == resumed.reasons


def test_a_full_disk_costs_a_checkpoint_but_not_the_training(
    tiny_model: Path, tmp_path: Path, another: Another, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(trainer: object, folder: Path, over: bool) -> None:
        (folder / "optimizer.pt").write_bytes(b"part")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(resume, "write", full)
    (context,) = stopped.chain(another(stopped.parts(tiny_model, tmp_path, epochs=1)), None)
    assert list(context.checkpoints.iterdir()) == []
    texts = [event.text for event in told(context) if isinstance(event, e.Notice) and event.level == "warning"]
    assert "Step 2 could not be saved: [Errno 28] No space left on device." in texts
    assert max(stopped.losses(told(context))) == 6


def test_a_cancel_saves_the_step_it_stops_at(tiny_model: Path, tmp_path: Path, another: Another, told: Told) -> None:
    context = another(stopped.parts(tiny_model, tmp_path, save_steps=None))
    prepare.run(context)
    tell = context.emit

    def emit(event: e.Event) -> None:
        tell(event)
        if isinstance(event, e.TrainStep) and event.step == 3:
            context.cancel(signal.SIGTERM, None)

    context.emit = emit  # type: ignore[method-assign]
    with pytest.raises(Stopped):
        set_up.run(context)
        run.run(context)
    context.deafen()
    assert [event.step for event in told(context) if isinstance(event, e.CheckpointSaved)] == [3]
    assert max(stopped.losses(told(context))) == 3


def test_nothing_is_saved_where_the_recipe_says_so(tiny_model: Path, tmp_path: Path, another: Another) -> None:
    (context,) = stopped.chain(another(stopped.parts(tiny_model, tmp_path, epochs=1, save_steps=0)), None)
    assert not context.checkpoints.exists()
