"""What merging an adapter costs: seconds and memory beside `cp -r` of the same folder, which is followed by a sync.

Run: python bench/merge.py [--gigabytes 3] [--shards 4] [--rounds 3] [--rank 16]. A Llama of random weights in bfloat16
and a LoRA adapter on all its linear layers; each round copies and merges in turn, in processes of their own.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tunesmith.daemon.worker import resident

LAYER_WEIGHTS = 4 * 2048 * 2048 + 3 * 2048 * 5632
MERGE = "merge"


def make(folder: Path, gigabytes: float, shards: int, rank: int) -> tuple[Path, Path]:
    """A base of about that size, and an adapter whose weights are random too."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=32_000, hidden_size=2048, intermediate_size=5632, num_attention_heads=16, num_key_value_heads=16,
        num_hidden_layers=round((gigabytes * 1e9 / 2 - 2 * 32_000 * 2048) / LAYER_WEIGHTS),
    )  # fmt: skip
    torch.manual_seed(0)
    torch.set_default_dtype(torch.bfloat16)
    with torch.device("meta"):
        model = LlamaForCausalLM(config)
    model = model.to_empty(device="cpu").requires_grad_(False)
    block = torch.randn(1 << 24)  # the same numbers again and again: drawing them all takes minutes
    for weight in model.parameters():
        for piece in weight.view(-1).split(len(block)):
            piece.copy_(block[: len(piece)])
    base, adapter = folder / "base", folder / "adapter"
    model.save_pretrained(base, max_shard_size=f"{gigabytes / shards * 1.05:.3f}GB")
    adapted = get_peft_model(
        model, LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear", init_lora_weights=False)
    )
    adapted.save_pretrained(adapter)  # in float32, as peft makes it
    return base, adapter


def merged(base: Path, adapter: Path, into: Path) -> dict[str, float]:
    """Seconds and bytes above what the process takes with its libraries, in this process."""
    import torch
    from peft import PeftModel  # noqa: F401
    from transformers import AutoModelForCausalLM  # noqa: F401

    from tunesmith.daemon.worker.merging import stream
    from tunesmith.daemon.worker.merging.layers import layers
    from tunesmith.recipes.models import headers, safetensors

    torch.ones(64, 64) @ torch.ones(64, 64)
    floor = resident.now()
    resident.forget_peak()
    began = time.monotonic()
    files = {path: safetensors.placed(path) for path in headers.weight_files(base)}
    into.mkdir()
    found = layers(base, adapter, files.values())
    opened = time.monotonic()
    sum(stream.write(files, found, into))
    ended = time.monotonic()
    return {"seconds": ended - began, "opening": opened - began, "bytes": resident.peak() - floor, "floor": floor}


def copied(base: Path, into: Path) -> tuple[float, float]:
    """Seconds of `cp -r`, and of it with what brings it onto the disk."""
    began = time.monotonic()
    subprocess.run(["cp", "-r", str(base), str(into)], check=True)
    there = time.monotonic() - began
    for path in into.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
    return there, time.monotonic() - began


def child(base: Path, adapter: Path, into: Path) -> dict[str, float]:
    command = [sys.executable, __file__, MERGE, str(base), str(adapter), str(into)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found: dict[str, float] = json.loads(said.splitlines()[-1])
    return found


def main() -> None:
    if sys.argv[1:2] == [MERGE]:
        print(json.dumps(merged(*(Path(path) for path in sys.argv[2:5]))))
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=3.0)
    parser.add_argument("--shards", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rank", type=int, default=16)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as name:
        folder = Path(name)
        base, adapter = make(folder, given.gigabytes, given.shards, given.rank)
        sizes = [path.stat().st_size for path in base.glob("*.safetensors")]
        os.sync()
        copies, merges = [], []
        for _ in range(given.rounds):
            for into, run in (("copy", lambda into: copies.append(copied(base, into))),
                              ("merged", lambda into: merges.append(child(base, adapter, into)))):  # fmt: skip
                run(folder / into)
                subprocess.run(["rm", "-r", str(folder / into)], check=True)
                os.sync()
    written, durable = (statistics.median(one[which] for one in copies) for which in (0, 1))
    seconds = statistics.median(one["seconds"] for one in merges)
    opening = statistics.median(one["opening"] for one in merges)
    most = max(one["bytes"] for one in merges)
    print(f"{sum(sizes) / 1e9:.2f} GB in {len(sizes)} shards, the largest {max(sizes) / 1e6:.0f} MB; rank {given.rank}")
    print("| | seconds | beside the copy | memory above the floor | of the largest shard |\n|---|---|---|---|---|")
    print(f"| `cp -r` | {written:.1f} | | | |")
    print(f"| `cp -r`, on the disk | {durable:.1f} | 1.00 | | |")
    print(f"| merge, on the disk | {seconds:.1f}, of it {opening:.1f} to read the adapter | {seconds / durable:.2f} "
          f"| {most / 1e6:.0f} MB | {most / max(sizes):.2f} |")  # fmt: skip


if __name__ == "__main__":
    main()
