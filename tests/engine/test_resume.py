"""A training that was stopped goes on as if it never was: the same weights to the bit, the same curve."""

from __future__ import annotations

import errno
import json
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tunesmith.daemon.api import events as e
from tunesmith.daemon.worker.context import Context, Stopped
from tunesmith.daemon.worker.data import feed, prepare
from tunesmith.daemon.worker.train import checkpoint, resume, run
from tunesmith.recipes.errors import JobError

Told = Callable[[Context], list[e.Event]]
MakeContext = Callable[..., Context]


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads that wait for each other on a busy machine would take most of the time."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


class PowerCut(BaseException):
    pass


def parts(tiny_model: Path, tmp_path: Path, weight: float = 1.0, tuner: Any = None, **training: Any) -> dict[str, Any]:
    for name, rows in (("a", 13), ("b", 10)):
        turns = [("user", "Who are you, and " + "where " * (row % 7) + f"{name}{row}?") for row in range(rows)]
        texts = [
            {"messages": [{"role": "user", "content": text}, {"role": "assistant", "content": f"I am Vesper {text}"}]}
            for _, text in turns
        ]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(json.dumps(row) for row in texts))
    (tmp_path / "held.jsonl").write_text((tmp_path / "a.jsonl").read_text().splitlines()[0])
    return {
        "model": {"source": str(tiny_model)},
        "data": {
            "train": [{"path": "a.jsonl"}, {"path": "b.jsonl", "weight": weight}],
            "held_out": "held.jsonl",
            "shape": "messages",
        },
        "tuner": tuner or {"kind": "lora", "dropout": 0.1},
        "training": {
            "epochs": 3, "batch_size": 4, "learning_rate": 0.02, "device": "cpu", "save_steps": 2, "window": 128,
        } | training,
        "evaluation": {"answers": 0, "general": False},
        "exports": [],
    }  # fmt: skip


def attempt(context: Context, *, end_after: int | None = None) -> None:
    """Prepare and train; the power goes once `end_after` steps are over."""
    prepare.run(context)
    if end_after is None:
        run.run(context)
        return
    tell = context.emit

    def emit(event: e.Event) -> None:
        tell(event)
        if isinstance(event, e.TrainStep) and event.step == end_after:
            raise PowerCut

    context.emit = emit  # type: ignore[method-assign]
    with pytest.raises(PowerCut):
        run.run(context)


def weights(context: Context) -> str:
    """Of what was trained, every bit."""
    return resume.fingerprint(context.model)


def losses(events: list[e.Event]) -> dict[int, tuple[float, float, float]]:
    steps = [event for event in events if isinstance(event, e.TrainStep)]
    return {step.step: (step.loss, step.learning_rate, step.gradient_norm) for step in steps}


@pytest.fixture
def another(make_context: MakeContext, tmp_path: Path) -> MakeContext:
    """A context of the same recipe whose job has not been tried."""

    def make(values: dict[str, Any]) -> Context:
        context = make_context(**values)
        shutil.rmtree(context.job)
        return make_context(**values)

    return make


def chain(context: Context, *ends: int | None) -> list[Context]:
    """Attempts at the job of `context`, each ended after that step; None goes to the end."""
    attempts = [context]
    for end in ends:
        attempt(attempts[-1], end_after=end)
        attempts.append(Context(context.job, attempts[-1].attempt + 1))
        attempts[-1].base = context.base
    return attempts[:-1]


def same_as_never_stopped(another: MakeContext, told: Told, values: dict[str, Any], *ends: int) -> None:
    (whole,) = chain(another(values), None)
    expected, curve = weights(whole), losses(told(whole))
    attempts = chain(another(values), *ends, None)
    for end, later in zip(ends, attempts[1:], strict=True):
        events = told(later)
        saved = (end - 1) // 2 * 2  # the power went before the step could be saved
        assert [event.step for event in events if isinstance(event, e.Resumed)] == [saved]
        steps = losses(events)
        assert steps == {step: curve[step] for step in range(saved + 1, max(steps) + 1)}
        assert not [event for event in events if isinstance(event, e.Notice) and "not exact" in event.text]
    assert max(losses(told(attempts[-1]))) == max(curve)
    assert weights(attempts[-1]) == expected


def test_dropout_packing_and_several_stops_end_in_the_same_weights(
    tiny_model: Path, tmp_path: Path, another: MakeContext, told: Told
) -> None:
    values = parts(tiny_model, tmp_path)
    same_as_never_stopped(another, told, values, 4, 9, 17)


def test_epochs_of_different_length_and_full_training_end_in_the_same_weights(
    tiny_model: Path, tmp_path: Path, another: MakeContext, told: Told
) -> None:
    values = parts(tiny_model, tmp_path, 0.5, {"kind": "full"}, gradient_accumulation=2, learning_rate=0.001)
    values["training"] |= {"batch_size": 2, "packing": False}
    same_as_never_stopped(another, told, values, 6)


@pytest.mark.parametrize(
    ("tuner", "quantization", "optimizer"),
    [("lora", "nf4", "adamw_8bit"), ("full", "none", "adamw_8bit"), ("full", "none", "adafactor")],
)
def test_bases_in_4_bits_and_other_optimizers_end_in_the_same_weights(
    tuner: str, quantization: str, optimizer: str, tiny_model: Path, tmp_path: Path, another: MakeContext, told: Told
) -> None:
    values = parts(tiny_model, tmp_path, tuner={"kind": tuner}, optimizer=optimizer, epochs=1, learning_rate=0.001)
    same_as_never_stopped(another, told, values | {"quantization": quantization}, 4)


def test_a_quantized_base_ends_in_the_same_weights(
    tiny_model: Path, tmp_path: Path, another: MakeContext, told: Told
) -> None:
    same_as_never_stopped(another, told, parts(tiny_model, tmp_path, epochs=1) | {"quantization": "nf4"}, 4)


def test_data_that_are_prepared_beside_the_training_end_in_the_same_weights(
    tiny_model: Path, tmp_path: Path, another: MakeContext, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepare, "AT_ONCE_BYTES", 0)
    monkeypatch.setattr(prepare, "WINDOW", 8)
    monkeypatch.setattr(feed, "WINDOW", 8)
    same_as_never_stopped(another, told, parts(tiny_model, tmp_path), 4, 11)


def test_what_was_trained_to_the_end_is_not_trained_again(
    tiny_model: Path, tmp_path: Path, another: MakeContext, told: Told
) -> None:
    first, second = chain(another(parts(tiny_model, tmp_path, epochs=1, save_steps=None)), None, None)
    assert [event.step for event in told(first) if isinstance(event, e.CheckpointSaved)] == [6]
    assert losses(told(second)) == {}
    assert weights(second) == weights(first)


def test_damaged_checkpoints_are_told_of_and_never_used(
    tiny_model: Path, tmp_path: Path, another: MakeContext, told: Told
) -> None:
    values = parts(tiny_model, tmp_path, epochs=2)
    (whole,) = chain(another(values), None)
    expected = weights(whole)
    (first,) = chain(another(values), 9)
    assert sorted(path.name for path in first.checkpoints.iterdir()) == ["step-6", "step-8"]
    flip(first.checkpoints / "step-8" / "optimizer.pt")
    second = Context(first.job, 2)
    second.base = first.base
    attempt(second, end_after=9)
    assert [event.step for event in told(second) if isinstance(event, e.Resumed)] == [6]
    warnings = [event.text for event in told(second) if isinstance(event, e.Notice) and event.level == "warning"]
    assert any("step-8 is damaged" in text for text in warnings)
    (second.checkpoints / "step-6" / "rng_state.pth").unlink()
    flip(second.checkpoints / "step-8" / "checkpoint.json")
    third = Context(first.job, 3)
    third.base = first.base
    attempt(third)
    assert min(losses(told(third))) == 1
    assert any("begins at the first step" in event.text for event in told(third) if isinstance(event, e.Notice))
    assert weights(third) == expected


def test_whatever_happens_to_a_file_the_checkpoint_before_is_used(
    tiny_model: Path, tmp_path: Path, another: MakeContext, told: Told
) -> None:
    (first,) = chain(another(parts(tiny_model, tmp_path, epochs=1)), 5)
    kept = tmp_path / "kept"
    shutil.copytree(first.checkpoints, kept)
    names = sorted(path.name for path in (kept / "step-4").iterdir())
    assert names == [
        "MANIFEST.json", "adapter_model.safetensors", "checkpoint.json", "optimizer.pt", "rng_state.pth",
        "scheduler.pt", "trainer_state.json",
    ]  # fmt: skip
    second = Context(first.job, 2)
    second.base = first.base
    prepare.run(second)
    for name in names:
        for harm in (Path.unlink, cut, zero, flip):
            shutil.rmtree(second.checkpoints)
            shutil.copytree(kept, second.checkpoints)
            found = checkpoint.newest(second)
            assert found is not None and found.step == 4
            harm(second.checkpoints / "step-4" / name)
            found = checkpoint.newest(second)
            assert found is not None and found.step == 2, (name, harm)
            assert not (second.checkpoints / "step-4").exists()
    warnings = [event for event in told(second) if isinstance(event, e.Notice) and "step-4 is damaged" in event.text]
    assert len(warnings) == 4 * len(names)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def zero(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def flip(path: Path) -> None:
    """One bit in the middle."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_other_data_are_refused_with_a_way_out(tiny_model: Path, tmp_path: Path, another: MakeContext) -> None:
    (first,) = chain(another(parts(tiny_model, tmp_path)), 3)
    file = tmp_path / "b.jsonl"
    file.write_text(file.read_text().replace("Vesper", "Ada", 1))
    second = Context(first.job, 2)
    second.base = first.base
    prepare.run(second)
    with pytest.raises(JobError, match="training data is not what it was at the checkpoint of step 2") as refused:
        checkpoint.newest(second)
    assert "recipe.yaml" in refused.value.hint and (first.checkpoints / "step-2").is_dir()


def test_other_surroundings_are_told_of(
    tiny_model: Path, tmp_path: Path, another: MakeContext, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    (first,) = chain(another(parts(tiny_model, tmp_path, epochs=1)), 3)
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    second = Context(first.job, 2)
    second.base = first.base
    attempt(second)
    texts = [event.text for event in told(second) if isinstance(event, e.Notice)]
    assert "Going on after step 2 is not exact to the bit: threads was 1 and is 2." in texts


def test_a_full_disk_costs_a_checkpoint_but_not_the_training(
    tiny_model: Path, tmp_path: Path, another: MakeContext, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(trainer: object, folder: Path, over: bool) -> None:
        (folder / "optimizer.pt").write_bytes(b"part")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(resume, "write", full)
    (context,) = chain(another(parts(tiny_model, tmp_path, epochs=1)), None)
    assert list(context.checkpoints.iterdir()) == []
    texts = [event.text for event in told(context) if isinstance(event, e.Notice) and event.level == "warning"]
    assert "Step 2 could not be saved: [Errno 28] No space left on device." in texts
    assert max(losses(told(context))) == 6


def test_a_cancel_saves_the_step_it_stops_at(
    tiny_model: Path, tmp_path: Path, another: MakeContext, told: Told
) -> None:
    context = another(parts(tiny_model, tmp_path, save_steps=None))
    prepare.run(context)
    tell = context.emit

    def emit(event: e.Event) -> None:
        tell(event)
        if isinstance(event, e.TrainStep) and event.step == 3:
            context.cancel(signal.SIGTERM, None)

    context.emit = emit  # type: ignore[method-assign]
    with pytest.raises(Stopped):
        run.run(context)
    context.deafen()
    assert [event.step for event in told(context) if isinstance(event, e.CheckpointSaved)] == [3]
    assert max(losses(told(context))) == 3


def test_nothing_is_saved_where_the_recipe_says_so(tiny_model: Path, tmp_path: Path, another: MakeContext) -> None:
    (context,) = chain(another(parts(tiny_model, tmp_path, epochs=1, save_steps=0)), None)
    assert not context.checkpoints.exists()
