"""Small models in files, and adapters of them whose every weight counts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import families

BY_NAME = {family.name: family for family in (*families.FAMILIES, *families.HARD)}
LORA = {"r": 4, "lora_alpha": 12, "target_modules": "all-linear"}
LINEAR = ["q_proj", "v_proj", "down_proj"]
# Each sums up in float32 what is rounded once: pieces of a matrix may be added up in another order.
CLOSE = {"rtol": 2e-6, "atol": 2e-7}


def saved(family: str | families.Family, folder: Path, dtype: str = "float32", shard: str = "50GB") -> Path:
    import torch

    model = families.base(BY_NAME[family] if isinstance(family, str) else family).to(getattr(torch, dtype))
    model.save_pretrained(str(folder), max_shard_size=shard)
    return folder


def adapter(base: Path, folder: Path, config: Any) -> Path:
    """Whose every weight is random: a fresh one changes nothing."""
    import torch
    from peft import get_peft_model

    torch.manual_seed(1)
    model = get_peft_model(loaded(base), config)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.requires_grad:
                weight.add_(0.05 * torch.randn_like(weight))
    model.save_pretrained(str(folder))
    return folder


def loaded(folder: Path) -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(str(folder), use_safetensors=True).eval()
