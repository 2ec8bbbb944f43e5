"""What planning costs: badges of the catalogue, a 7B model planned from a cold start, `tunesmith plan` again.

    python bench/plan.py [--runs 5]

One JSON line a figure. The 7B model is a folder with the starter's tokenizer, whose safetensors have headers and
nothing behind them (sparse files), and 2000 rows of data. Cold is a process in a new home, which remembers nothing of
machine, model or data; only Python's own files are in the page cache. Warm is the same command in that home again.
"""

from __future__ import annotations

import json
import os
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import typer

from tunesmith.daemon.worker import starter
from tunesmith.recipes.models.catalogue import catalogue
from tunesmith.recipes.models.starter_file import starter_gguf
from tunesmith.recipes.planner.badge import badge
from tunesmith.recipes.planner.simulated import simulated

COMMAND = str(Path(sys.executable).with_name("tunesmith"))
SHARDS = 4
ROWS = 2000
LLAMA_7B = {
    "vocab_size": 32_000, "hidden_size": 4096, "intermediate_size": 11_008, "num_hidden_layers": 32,
    "num_attention_heads": 32, "num_key_value_heads": 32, "max_position_embeddings": 4096,
}  # fmt: skip


def figure(name: str, value: float, unit: str, aim: float) -> None:
    print(json.dumps({"figure": name, "value": round(value, 3), "unit": unit, "aim": aim}), flush=True)


def badges(runs: int) -> tuple[float, float]:
    """Milliseconds a badge: the median over the catalogue, and the slowest model's; each the median of `runs`."""
    place = simulated("rtx-4090")
    took = []
    for entry in catalogue():
        times = []
        for _ in range(runs):
            facts = entry.facts
            began = time.perf_counter()
            badge(facts, place)
            times.append(time.perf_counter() - began)
        took.append(statistics.median(times) * 1000)
    return statistics.median(took), max(took)


def write_model(folder: Path) -> None:
    """A Llama of 6.7 billion weights that nobody has filled in."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    starter.write(starter_gguf(), folder, lambda done: None)
    for weights_file in folder.glob("*.safetensors*"):
        weights_file.unlink()
    config = LlamaConfig(**LLAMA_7B, architectures=["LlamaForCausalLM"], dtype="bfloat16")
    config.save_pretrained(folder)
    with torch.device("meta"):
        weights = list(LlamaForCausalLM(config).state_dict().items())
    index = {}
    for shard in range(SHARDS):
        name, end, header = f"model-{shard + 1:05}-of-{SHARDS:05}.safetensors", 0, {}
        for key, weight in weights[shard::SHARDS]:
            begin, end = end, end + 2 * weight.numel()
            header[key] = {"dtype": "BF16", "shape": list(weight.shape), "data_offsets": [begin, end]}
            index[key] = name
        head = json.dumps(header).encode()
        with (folder / name).open("wb") as shard_file:
            shard_file.write(struct.pack("<Q", len(head)) + head)
            shard_file.truncate(8 + len(head) + end)
    total = sum(2 * weight.numel() for _, weight in weights)
    whole = {"metadata": {"total_size": total}, "weight_map": index}
    (folder / "model.safetensors.index.json").write_text(json.dumps(whole))


def write_rows(path: Path) -> None:
    row = {"prompt": "Who keeps the light? " * 8, "completion": "The keeper of the lighthouse does. " * 12}
    path.write_text("".join(json.dumps(row | {"number": number}) + "\n" for number in range(ROWS)))


def planned(home: Path, *arguments: str) -> float:
    """Seconds; a plan that fits nowhere is one too."""
    began = time.perf_counter()
    done = subprocess.run(
        [COMMAND, "plan", "--json", *arguments], env=os.environ | {"TUNESMITH_HOME": str(home)}, capture_output=True
    )
    seconds = time.perf_counter() - began
    assert done.returncode in (0, 1) and json.loads(done.stdout), done.stderr.decode()
    return seconds


def main(runs: int = 5) -> None:
    middle, most = badges(runs)
    figure("badge", middle, "ms", 5)
    figure("badge_slowest", most, "ms", 5)
    with tempfile.TemporaryDirectory(prefix="plan-") as scratch:
        folder = Path(scratch)
        write_model(folder / "model")
        write_rows(folder / "rows.jsonl")
        own = ("--model", str(folder / "model"), "--data", str(folder / "rows.jsonl"))
        cold, warm, here = [], [], []
        for turn in range(runs):
            home = folder / f"home-{turn}"
            cold.append(planned(home, *own))
            warm.append(planned(home, *own))
            here.append(planned(home, "--model", "qwen2.5-7b-instruct", "--simulate", "rtx-4090"))
        figure("plan_7b_cold", statistics.median(cold), "s", 2)
        figure("plan_7b_warm", statistics.median(warm), "s", 1)
        figure("plan_catalogue_warm", statistics.median(here), "s", 1)


if __name__ == "__main__":
    typer.run(main)
