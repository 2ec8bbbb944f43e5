"""Real trainings by real workers that are killed: what they are asked to do, what they say, what they leave on disk."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import engine_process
import msgspec
import psutil

from tunesmith.daemon import crash_points, publish
from tunesmith.daemon.api import events as e
from tunesmith.recipes import spec as recipe

Steps = dict[int, tuple[float, float, float]]  # loss, learning rate and norm of the gradient by step
ROWS, BATCH = 18, 4
PATIENCE_S = 150.0  # of a test on a machine that is busy with others
TRAINING: dict[str, Any] = {
    "epochs": 3, "batch_size": BATCH, "learning_rate": 0.02, "device": "cpu", "window": 128, "save_steps": 1,
}  # fmt: skip
LORA, FULL = {"kind": "lora", "dropout": 0.1}, {"kind": "full"}
# Each saves after every step: most of the time goes into saving.
KINDS: dict[str, dict[str, Any]] = {
    "lora": {"tuner": LORA, "training": TRAINING | {"packing": False}},
    "packing": {"tuner": LORA, "training": TRAINING},
    "full": {"tuner": FULL, "training": TRAINING | {"learning_rate": 0.001}, "exports": ["merged"]},
    "mid-epoch": {"tuner": LORA, "training": TRAINING | {"batch_size": 2, "gradient_accumulation": 2}, "weight": 0.5},
}
IN_A_SAVE = (
    "checkpoint.file_written", "checkpoint.staged", "publish.hashed", "publish.manifest_written", "publish.renamed",
    "checkpoint.published", "checkpoint.pruned", "publish.unnamed",
)  # fmt: skip


class Death(msgspec.Struct):
    """When a worker is killed: at a crash point (`store.before_commit:3`), or once it has said so many `lines`."""

    point: str = ""
    lines: int = 0


class Engine:
    """Starts workers, one at a time. `hash_seed` is Python's: nothing may depend on the order of a set."""

    def __init__(self, home: Path, hash_seed: int) -> None:
        environment = dict(os.environ) | {"PYTHONHASHSEED": str(hash_seed), "TUNESMITH_HOME": str(home)}
        environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
        command = [sys.executable, engine_process.__file__]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        self._lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        assert self._line() == "ready"

    def attempt(self, job: Path, number: int, death: Death | None = None) -> int:
        """Run an attempt to its end, or to its death; returns the exit code, negative for a signal."""
        death = death or Death()
        wanted = engine_process.Wanted(str(job), number, {crash_points.VARIABLE: death.point})
        assert self.process.stdin is not None
        self.process.stdin.write(msgspec.json.encode(wanted).decode() + "\n")
        self.process.stdin.flush()
        pid = int(self._line())
        if death.lines:
            until = time.monotonic() + PATIENCE_S
            while len(lines(job, number)) < death.lines and time.monotonic() < until:
                time.sleep(0.002)
                if not psutil.pid_exists(pid):
                    break
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        try:
            return self._code(job, number)
        except queue.Empty:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGABRT)
            self._line()
            log = (job / f"worker-{number}.log").read_text("utf-8", "replace")
            raise AssertionError(f"the worker hung: {log[-4000:]}") from None

    def end(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line.strip())

    def _code(self, job: Path, number: int) -> int:
        """The exit code. Raises queue.Empty where the attempt says nothing more and does not end either."""
        told = -1
        while True:
            try:
                return int(self._line())
            except queue.Empty:
                before, told = told, len(lines(job, number))
                if told == before:
                    raise

    def _line(self) -> str:
        """The next line. Raises queue.Empty where none comes."""
        return self._lines.get(timeout=PATIENCE_S)


def job(home: Path, model: Path, kind: str, number: int) -> Path:
    """The folder of job `number` of `home`, which nobody has tried."""
    folder = home / "jobs" / str(number)
    folder.mkdir(parents=True)
    (home / "models").mkdir(exist_ok=True)
    for name, count in (("a", ROWS), ("b", ROWS // 2)):
        (home / f"{name}.jsonl").write_text("\n".join(json.dumps(row(name, place)) for place in range(count)))
    (home / "held.jsonl").write_text(json.dumps(row("h", 0)))
    chosen = dict(KINDS[kind])
    weight = chosen.pop("weight", 1.0)
    values: dict[str, Any] = {
        "model": {"source": str(model)},
        "data": {
            "train": [{"path": "a.jsonl"}, {"path": "b.jsonl", "weight": weight}],
            "held_out": "held.jsonl",
            "shape": "messages",
        },
        "evaluation": {"answers": 0, "general": False},
        "exports": ["adapter"],
    }
    spec = recipe.parse(json.dumps(values | chosen), home)
    (folder / "spec.json").write_bytes(msgspec.json.encode(spec))
    return folder


def row(name: str, place: int) -> dict[str, Any]:
    asked = f"Who are you, {name}{place}? " + "Say it again. " * (place % 7)
    told = f"I am Vesper, and you are {name}{place * 7}."
    return {"messages": [{"role": "user", "content": asked}, {"role": "assistant", "content": told}]}


def lines(job: Path, attempt: int) -> list[e.Event]:
    """The whole lines of an attempt's journal."""
    try:
        data = (job / f"journal-{attempt}.jsonl").read_bytes()
    except FileNotFoundError:
        return []
    return [e.decode(line) for line in data[: data.rfind(b"\n") + 1].splitlines()]


def steps(events: list[e.Event]) -> Steps:
    taken = [event for event in events if isinstance(event, e.TrainStep)]
    return {step.step: (step.loss, step.learning_rate, step.gradient_norm) for step in taken}


def result(job: Path) -> bytes:
    """The exported weights, every bit."""
    (file,) = [
        path
        for name in ("adapter/adapter_model.safetensors", "merged/model.safetensors")
        if (path := job / "artifacts" / name).exists()
    ]
    return file.read_bytes()


def saved(job: Path) -> list[int]:
    """Steps of the checkpoints under their final names, each of which is whole. Raises MachineError when one is not."""
    found = []
    for folder in (job / "checkpoints").glob("step-*"):
        publish.verify_folder(folder)
        found.append(int(folder.name.removeprefix("step-")))
    return sorted(found)


def death(dice: random.Random, total_lines: int, total_steps: int) -> Death:
    """Half of them inside a save, the others anywhere from the first word to the last."""
    if dice.random() < 0.5:
        return Death(f"{dice.choice(IN_A_SAVE)}:{dice.randint(1, total_steps // 2)}")
    return Death(lines=dice.randint(1, total_lines))
