"""kill -9 of a real worker at a random step, resumed through the daemon: the adapter is that of a run left alone.

More kills, of more kinds of training and without a daemon: tests/faults/test_training_kills.py.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tunesmith.daemon.api import events as e
from tunesmith.daemon.api.client import Client
from tunesmith.daemon.api.find import ensure_daemon
from tunesmith.daemon.api.home import Home
from tunesmith.daemon.api.requests import Submit
from tunesmith.daemon.api.view import JobView
from tunesmith.recipes import spec as recipe

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
EPOCHS, ROWS, BATCH = 6, 40, 4
STEPS = EPOCHS * ROWS // BATCH
KILLS, SEED = 2, 1


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    monkeypatch.setenv("TUNESMITH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TUNESMITH_FREE_DISK_NEEDED", "0")
    yield Home.find()
    mark = str(tmp_path / "home")
    for process in psutil.process_iter(["environ"]):
        if (process.info["environ"] or {}).get("TUNESMITH_HOME") == mark and process.pid != os.getpid():
            process.kill()


def packed_with_dropout(tiny_model: Path, folder: Path) -> recipe.JobSpec:
    rows = [
        {
            "messages": [
                {"role": "user", "content": f"Who are you, number {row}? " + "Say it again. " * (row % 9)},
                {"role": "assistant", "content": f"I am Vesper, and you are guest {row * 7}."},
            ]
        }
        for row in range(ROWS)
    ]
    (folder / "train.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    (folder / "held.jsonl").write_text(json.dumps({"messages": rows[0]["messages"][:1], "answer": "Nobody."}))
    values = {
        "model": {"source": str(tiny_model)},
        "data": {"train": "train.jsonl", "held_out": "held.jsonl"},
        "tuner": {"kind": "lora", "dropout": 0.1},
        "training": {
            "epochs": EPOCHS, "batch_size": BATCH, "learning_rate": 0.02, "device": "cpu", "window": 128,
            "packing": True, "save_steps": 4,
        },
        "evaluation": {"answers": 0, "general": False},
        "exports": ["adapter"],
    }  # fmt: skip
    return recipe.parse(json.dumps(values), folder)


async def until(client: Client, job: int, *, step: int | None = None) -> JobView:
    """The job's view once it has ended, or once `step` is over."""
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        view = await client.job(job)
        if view.ended_already or (step is not None and view.step is not None and view.step.step >= step):
            return view
        await asyncio.sleep(0.005)
    raise TimeoutError


def adapter(home: Home, job: int) -> bytes:
    return (home.job(job) / "artifacts" / "adapter" / "adapter_model.safetensors").read_bytes()


async def test_a_run_killed_at_random_steps_ends_in_the_adapter_of_one_left_alone(
    tiny_model: Path, tmp_path: Path, home: Home
) -> None:
    spec = packed_with_dropout(tiny_model, tmp_path)
    async with await ensure_daemon(home) as client:
        whole = await client.submit(Submit("whole", spec))
        view = await until(client, whole.id)
        assert view.state == "finished" and view.step is not None and view.step.step == STEPS, view.error
        dice = random.Random(SEED)
        job = (await client.submit(Submit("killed", spec))).id
        for _ in range(KILLS):
            view = await until(client, job, step=dice.randrange(1, STEPS))
            if view.pid is None:
                break  # it was faster than we
            psutil.Process(view.pid).kill()
            view = await until(client, job)
            assert view.state == "failed" and view.error is not None and view.error.code == "worker_died"
            await client.resume(job)
        killed = await until(client, job)
        assert killed.state == "finished", killed.error
        assert [step for step, _ in killed.losses] == list(range(1, STEPS + 1))
        alone = await client.job(whole.id)
        assert (killed.losses, killed.learning_rates) == (alone.losses, alone.learning_rates)
        assert adapter(home, job) == adapter(home, whole.id)
        assert not (home.job(job) / "checkpoints").exists()
        assert len(list(home.job(job).glob("work-*"))) == 1
        events = [numbered.event async for numbered in client.events(job)]
        assert not [event for event in events if isinstance(event, e.Notice) and "not exact" in event.text]
        await client.stop()
