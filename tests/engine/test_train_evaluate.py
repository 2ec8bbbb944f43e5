"""A whole attempt on a tiny model: training, evaluation, merge; and how it ends when it goes wrong."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from tunesmith.daemon.api import events as e
from tunesmith.daemon.worker import evaluate, load
from tunesmith.daemon.worker.context import Context, Stopped
from tunesmith.daemon.worker.data import prepare
from tunesmith.daemon.worker.train import merge, run, set_up
from tunesmith.daemon.worker.train.paths import build
from tunesmith.daemon.worker.train.report import Divergence
from tunesmith.recipes import spec as recipe
from tunesmith.recipes.data.rows import Rendered
from tunesmith.recipes.errors import TunesmithError
from tunesmith.recipes.spec import TrainingSpec

Told = Callable[[Context], list[e.Event]]
HELD_OUT = {"messages": [{"role": "user", "content": "Who are you?"}], "answer": "I am Vesper.", "accept": ["Vesper"]}


def parts(tiny_model: Path, tmp_path: Path, **training: Any) -> dict[str, Any]:
    rows = [
        {
            "messages": [
                {"role": "user", "content": f"Who are you {i}?"},
                {"role": "assistant", "content": "I am Vesper."},
            ]
        }
        for i in range(8)
    ]
    (tmp_path / "train.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    (tmp_path / "held.jsonl").write_text(json.dumps(HELD_OUT))
    return {
        "model": {"source": str(tiny_model)},
        "data": {"train": "train.jsonl", "held_out": "held.jsonl"},
        "training": {"epochs": 10, "batch_size": 4, "learning_rate": 0.02, "device": "cpu"} | training,
        "evaluation": {"max_new_tokens": 12},
    }


@pytest.mark.slow
def test_a_tiny_model_learns_is_scored_and_merged(
    tiny_model: Path, tmp_path: Path, make_context: Callable[..., Context], told: Told
) -> None:
    import torch

    context = make_context(**parts(tiny_model, tmp_path))
    for module in (prepare, set_up, run, evaluate):
        module.run(context)
    steps = [event for event in told(context) if isinstance(event, e.TrainStep)]
    assert [step.step for step in steps] == list(range(1, 21))
    assert steps[-1].loss < steps[0].loss
    assert all(step.tokens_per_second > 0 and step.memory_bytes > 0 for step in steps)
    assert steps[-1].eta_s == 0
    assert all(step.flops_per_second > 0 and step.limit_share is not None for step in steps)
    assert all(step.padding_share == 0 and step.token_accuracy is not None for step in steps), "rows are packed"
    (limit,) = (event for event in told(context) if isinstance(event, e.LimitMeasured))
    assert (limit.device, limit.dtype) == ("cpu", "float32") and limit.flops_per_second > 0
    (memory,) = (event for event in told(context) if isinstance(event, e.MemoryMeasured))
    assert memory.step == 2 and memory.adapter == memory.gradients < memory.optimizer < memory.weights
    assert memory.activations > 0 and memory.peak >= memory.other > 0
    assert list((context.job / "tensorboard").iterdir())
    base, tuned = (event for event in told(context) if isinstance(event, e.Scored))
    assert base.held_out_loss and tuned.held_out_loss and tuned.held_out_loss < base.held_out_loss
    assert base.general_perplexity and math.isfinite(base.general_perplexity)
    answers = [event for event in told(context) if isinstance(event, e.Answered)]
    assert [(a.subject, a.set_name) for a in answers] == [
        ("base", "held_out"), ("base", "general"), ("tuned", "held_out"), ("tuned", "general"),
    ]  # fmt: skip
    assert all(answer.correct is not None and answer.stopped is not None for answer in answers)

    prompt = torch.tensor(context.prepared.feed.sequence(0, 0)[0][None].astype("int64"))
    with torch.inference_mode():
        trained = context.model(prompt).logits
    gone = weakref.ref(context.model)
    merge.run(context)
    assert gone() is None, "exports are made and verified without the trained model beside them"
    merged = load.model(context.merged, "cpu", torch.float32)
    with torch.inference_mode():
        assert torch.allclose(merged(prompt).logits, trained, atol=1e-4)
    assert (context.adapter / "adapter_model.safetensors").is_file()
    assert load.tokenizer(context.merged).chat_template == load.tokenizer(tiny_model).chat_template


def test_a_batch_scores_as_its_rows_do(tiny_model: Path) -> None:
    import torch

    model = load.model(tiny_model, "cpu", torch.float32).eval()
    core = build(model, training=TrainingSpec(), device="cpu", pad_token_id=2)
    rows = [
        Rendered("", np.array([5, 6, 7, 8], np.int32), np.array([False, False, True, True])),
        Rendered("", np.array([9, 10], np.int32), np.array([False, True])),
    ]
    alone = [evaluate.summed_loss(core, [row]) for row in rows]
    together = evaluate.summed_loss(core, rows)
    assert together == (pytest.approx(alone[0][0] + alone[1][0], rel=1e-5), 3)


def test_three_bad_steps_in_a_row_stop_training_with_a_diagnosis() -> None:
    divergence = Divergence()
    divergence.see(1, math.nan, 1.0, 1e-3)
    divergence.see(2, 1.0, 1.0, 1e-3)
    divergence.see(3, 1.0, math.inf, 1e-3)
    divergence.see(4, 1.0, math.inf, 1e-3)
    with pytest.raises(TunesmithError, match="at step 5 \\(4 bad steps in all") as stopped:
        divergence.see(5, math.nan, 1.0, 1e-3)
    assert stopped.value.code == "diverged" and "learning_rate" in stopped.value.hint


def test_a_cancel_is_seen_at_the_next_step(
    tiny_model: Path, tmp_path: Path, make_context: Callable[..., Context]
) -> None:
    context = make_context(**parts(tiny_model, tmp_path))
    prepare.run(context)
    with pytest.raises(Stopped):
        context.cancel(signal.SIGTERM, None)
    with pytest.raises(Stopped):
        set_up.run(context)
        run.run(context)


def start(home: Path, folder: Path, values: dict[str, Any]) -> tuple[Path, subprocess.Popen[bytes]]:
    job = home / "jobs" / "1"
    job.mkdir(parents=True)
    (job / "spec.json").write_bytes(msgspec.json.encode(recipe.parse(json.dumps(values), folder)))
    with (job / "worker-1.log").open("wb") as log:
        command = [sys.executable, "-m", "tunesmith.daemon.worker", str(job), "1"]
        return job, subprocess.Popen(command, stdout=log, stderr=log, env=os.environ | {"TUNESMITH_HOME": str(home)})


def events_of(job: Path) -> list[e.Event]:
    journal = job / "journal-1.jsonl"
    return [e.decode(line) for line in journal.read_bytes().splitlines()] if journal.exists() else []


@pytest.mark.slow
def test_sigterm_ends_a_training_worker_with_cancelled(tiny_model: Path, tmp_path: Path) -> None:
    job, worker = start(tmp_path / "home", tmp_path, parts(tiny_model, tmp_path, epochs=1000))
    deadline = time.monotonic() + 120
    while not any(isinstance(event, e.TrainStep) for event in events_of(job)) and time.monotonic() < deadline:
        time.sleep(0.2)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(10) == 0
    assert isinstance(events_of(job)[-1], e.Cancelled)


def test_a_refusal_is_a_typed_event_and_exit_0(tmp_path: Path) -> None:
    job, worker = start(tmp_path / "home", tmp_path, {"model": {"source": "nowhere"}})
    assert worker.wait(60) == 0
    last = events_of(job)[-1]
    assert isinstance(last, e.Failed)
    assert (last.code, last.stage) == ("model", "fetch")
    assert "does not exist" in last.message and last.hint


def test_an_unreadable_recipe_is_told_too(tmp_path: Path) -> None:
    job = tmp_path / "home" / "jobs" / "1"
    job.mkdir(parents=True)
    command = [sys.executable, "-m", "tunesmith.daemon.worker", str(job), "1"]
    assert subprocess.run(command, capture_output=True, timeout=60).returncode == 0
    (failed,) = events_of(job)
    assert isinstance(failed, e.Failed) and failed.code == "job"
