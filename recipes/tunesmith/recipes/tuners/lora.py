"""LoRA: low-rank adapters beside frozen linear layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunesmith.recipes.fields import FloatField, IntField
from tunesmith.recipes.tuners import Tuner


def attach(model: Any, knobs: Mapping[str, Any], seed: int) -> Any:
    """`model` with a fresh adapter on every linear layer but lm_head; same seed, same adapter."""
    import torch
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(seed)
    config = LoraConfig(
        r=knobs["rank"],
        lora_alpha=knobs["alpha"],
        lora_dropout=knobs["dropout"],
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    adapted = get_peft_model(model, config)
    # peft has read it; trl would turn the adapter of such a base into bfloat16, whose steps are too coarse for AdamW.
    model.is_loaded_in_4bit = False
    return adapted


CARD = Tuner(
    key="lora",
    title="LoRA",
    blurb="Trains small low-rank adapters on all linear layers; the base stays as it is.",
    source="Hu et al. 2021, arXiv:2106.09685; through peft",
    merges=True,
    knobs=(
        IntField("rank", 8, 1, 1024, "Width of the adapter; more learns more and costs more."),
        IntField("alpha", 16, 1, 4096, "The adapter's output is scaled by alpha / rank."),
        FloatField("dropout", 0.0, 0.0, 0.9, "Share of adapter inputs zeroed while training."),
    ),
    attach=attach,
)
