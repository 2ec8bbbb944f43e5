"""LoRA adapters in peft's format: what of their settings is followed, and a view of one that holds nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from tunesmith.daemon.worker.serve import base
from tunesmith.recipes.errors import ModelError

SETTINGS, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
KIND = "peft_type"
# Of peft's LoraConfig, what says how its weights are to be applied; nothing that names code or files.
KEYS = frozenset({
    "r", "lora_alpha", "target_modules", "exclude_modules", "bias", "use_rslora", "use_dora",
    "modules_to_save", "layers_to_transform", "layers_pattern", "rank_pattern", "alpha_pattern", "fan_in_fan_out",
    "target_parameters", "lora_bias",
})  # fmt: skip


def settings(folder: Path) -> dict[str, Any]:
    """What of the adapter's settings is followed. Raises ModelError."""
    try:
        said = msgspec.json.decode((folder / SETTINGS).read_bytes(), type=dict[str, Any])
    except (OSError, msgspec.DecodeError) as error:
        raise ModelError(f"{folder} is no adapter: {error}", "Give a folder with adapter_config.json.") from error
    if said.get(KIND) != "LORA" or not (folder / WEIGHTS).is_file():
        raise ModelError(
            f"{folder} holds no LoRA adapter in safetensors", "Serve the merged model instead.", "adapter_kind"
        )
    return {key: value for key, value in said.items() if key in KEYS}


def view(folder: Path, into: Path) -> int:
    """Make `into` hold the adapter's weights and what is followed of its settings; its highest rank.

    Raises ModelError, MachineError when it is damaged.
    """
    base.verify(folder)
    kept = settings(folder)
    into.mkdir(parents=True, exist_ok=True)
    (into / SETTINGS).write_bytes(msgspec.json.encode({KIND: "LORA", "task_type": "CAUSAL_LM", **kept}))
    (into / WEIGHTS).unlink(missing_ok=True)
    (into / WEIGHTS).symlink_to((folder / WEIGHTS).resolve())
    patterns = kept.get("rank_pattern") or {}
    ranks = [kept.get("r"), *(patterns.values() if isinstance(patterns, dict) else ())]
    return max((rank for rank in ranks if type(rank) is int), default=8)  # 8 is peft's own
