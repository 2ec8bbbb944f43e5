"""A training whose power goes now and then, attempt after attempt at the same job, on a tiny model."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tunesmith.daemon.api import events as e
from tunesmith.daemon.worker.context import Context
from tunesmith.daemon.worker.data import prepare
from tunesmith.daemon.worker.train import identity, run, set_up

Told = Callable[[Context], list[e.Event]]
Another = Callable[[dict[str, Any]], Context]


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
        set_up.run(context)
        run.run(context)
        return
    tell = context.emit

    def emit(event: e.Event) -> None:
        tell(event)
        if isinstance(event, e.TrainStep) and event.step == end_after:
            raise PowerCut

    context.emit = emit  # type: ignore[method-assign]
    with pytest.raises(PowerCut):
        set_up.run(context)
        run.run(context)


def weights(context: Context) -> str:
    """Of what was trained, every bit."""
    return identity.fingerprint(context.model)


def losses(events: list[e.Event]) -> dict[int, tuple[float, float, float]]:
    steps = [event for event in events if isinstance(event, e.TrainStep)]
    return {step.step: (step.loss, step.learning_rate, step.gradient_norm) for step in steps}


def chain(context: Context, *ends: int | None) -> list[Context]:
    """Attempts at the job of `context`, each ended after that step; None goes to the end."""
    attempts = [context]
    for end in ends:
        attempt(attempts[-1], end_after=end)
        attempts.append(Context(context.job, attempts[-1].attempt + 1))
        attempts[-1].base = context.base
    return attempts[:-1]


def same_as_never_stopped(another: Another, told: Told, values: dict[str, Any], *ends: int) -> None:
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
