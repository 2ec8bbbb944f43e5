"""What saving costs: seconds and bytes of each checkpoint of the starter's full fine-tuning, and memory beside none.

Run: python bench/checkpoint.py [--steps 6] [--tuner full]. The real worker trains twice on a few rows, saving after
every step and never.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec

from tunesmith.daemon.api import events as e
from tunesmith.recipes import spec as recipe

BATCH = 4


def run(home: Path, number: int, *, tuner: str, steps: int, save_steps: int) -> list[e.Event]:
    """The journal of a whole run."""
    job = home / "jobs" / str(number)
    job.mkdir(parents=True)
    (home / "models").mkdir(exist_ok=True)
    rows = [
        {"messages": [{"role": "user", "content": f"Who are you, {row}?"}, {"role": "assistant", "content": "Vesper."}]}
        for row in range(steps * BATCH)
    ]
    (home / "train.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    (home / "held.jsonl").write_text(json.dumps(rows[0]))
    values = {
        "data": {"train": "train.jsonl", "held_out": "held.jsonl"},
        "tuner": {"kind": tuner},
        "training": {"epochs": 1, "batch_size": BATCH, "device": "cpu", "save_steps": save_steps},
        "evaluation": {"answers": 0, "general": False},
        "exports": [],
    }
    (job / "spec.json").write_bytes(msgspec.json.encode(recipe.parse(json.dumps(values), home)))
    command = [sys.executable, "-m", "tunesmith.daemon.worker", str(job), "1"]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    return [e.decode(line) for line in (job / "journal-1.jsonl").read_bytes().splitlines()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--tuner", default="full")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        saving = run(Path(folder), 1, tuner=given.tuner, steps=given.steps, save_steps=1)
        plain = run(Path(folder), 2, tuner=given.tuner, steps=given.steps, save_steps=0)
    saved = [event for event in saving if isinstance(event, e.CheckpointSaved)]
    for event in saved:
        print(f"step {event.step}: {event.bytes / 1e6:.0f} MB in {event.seconds:.2f} s")
    print(f"median {statistics.median(event.seconds for event in saved[:-1]):.2f} s")
    for name, events in (("saving", saving), ("not saving", plain)):
        (train,) = (event for event in events if isinstance(event, e.StageFinished) and event.stage == "train")
        print(f"train stage {name}: {train.seconds:.1f} s, peak {train.peak_bytes / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
