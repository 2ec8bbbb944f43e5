"""What the result of a training depends on: kept with every checkpoint, and compared before going on from one."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from tunesmith.daemon.api.events import PathTaken
from tunesmith.recipes.words import Words, say

# Whose versions results depend on.
ENGINES = ("torch", "transformers", "peft", "trl", "accelerate", "numpy", "tunesmith")
ENDS_BYTES = 1 << 20  # read at both ends of each weights file: hashing all of a large model takes minutes


def trained(model: Any) -> list[tuple[str, Any]]:
    return [(name, weight) for name, weight in model.named_parameters() if weight.requires_grad]


def fingerprint(model: Any) -> str:
    """Of every trained weight, to the bit."""
    import torch

    digest = hashlib.sha256()
    for name, weight in trained(model):
        digest.update(f"{name} {weight.dtype} {tuple(weight.shape)} ".encode())
        digest.update(weight.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def base_fingerprint(folder: Path) -> str:
    """Of a model folder: its config, and the size, the first and the last part of each weights file."""
    digest = hashlib.sha256((folder / "config.json").read_bytes())
    for path in sorted(folder.glob("*.safetensors")):
        size = path.stat().st_size
        digest.update(f"{path.name} {size} ".encode())
        with path.open("rb") as file:
            digest.update(file.read(ENDS_BYTES))
            file.seek(max(0, size - ENDS_BYTES))
            digest.update(file.read(ENDS_BYTES))
    return digest.hexdigest()


def optimizer(trainer: Any) -> tuple[str, str]:
    """The class of a trainer's optimizer, and a hash of the names and shapes of its parameters in their order.

    Its saved state knows them by that order alone.
    """
    own = getattr(trainer.optimizer, "optimizer", trainer.optimizer)  # accelerate wraps it
    names = {id(weight): name for name, weight in trainer.model.named_parameters()}
    digest = hashlib.sha256()
    for number, group in enumerate(own.param_groups):
        for weight in group["params"]:
            digest.update(f"{number} {names[id(weight)]} {weight.dtype} {tuple(weight.shape)}\n".encode())
    return type(own).__name__, digest.hexdigest()


def surroundings(trainer: Any, paths: Sequence[PathTaken]) -> dict[str, str]:
    """What results depend on beside the recipe and its data, by name."""
    import torch

    device = trainer.args.device
    found = {name: metadata.version(name) for name in ENGINES}
    found["processor"] = torch.backends.cpu.get_cpu_capability()
    found["device"] = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    found["threads"] = str(torch.get_num_threads())
    found["dtype"] = str(next(trainer.model.parameters()).dtype).removeprefix("torch.")
    return found | {path.part: path.taken for path in paths}


def inexactness(before: dict[str, str], now: dict[str, str]) -> list[Words]:
    """Why going on is not exact to the bit: a phrase a reason, none where it is."""
    found = [
        say(
            "other_now",
            "{name} was {before} and is {now}",
            name=name,
            before=before.get(name, "—"),
            now=now.get(name, "—"),
        )
        for name in sorted(before.keys() | now.keys())
        if before.get(name) != now.get(name)
    ]
    if now["device"] != "cpu":
        english = "{device} adds numbers in an order that differs from run to run"
        found.append(say("order_differs", english, device=now["device"]))
    return found
