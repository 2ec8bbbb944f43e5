"""LoRA: low-rank adapters beside frozen linear layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunesmith.recipes.fields import FloatField, IntField
from tunesmith.recipes.tuners import Tuner

# Their kernels read these layers' weights without calling the layers: an adapter there would do nothing (transformers
# 5.23, modeling_*.py: mamba_inner_fn, mamba_split_conv1d_scan_combined).
PASSED_BY = {"out_proj", "x_proj", "dt_proj"}
WITH_SUCH_KERNELS = {
    "bamba", "falcon_h1", "falcon_mamba", "granitemoehybrid", "mamba", "mamba2", "nemotron_h", "zamba2"
}  # fmt: skip


def attach(model: Any, knobs: Mapping[str, Any], seed: int) -> Any:
    """`model` with a fresh adapter on every linear layer but lm_head and `left_out`; same seed, same adapter."""
    import torch
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(seed)
    config = LoraConfig(
        r=knobs["rank"],
        lora_alpha=knobs["alpha"],
        lora_dropout=knobs["dropout"],
        target_modules="all-linear",
        exclude_modules=left_out(model) or None,
        task_type="CAUSAL_LM",
    )
    adapted = get_peft_model(model, config)
    # peft has read it; trl would turn the adapter of such a base into bfloat16, whose steps are too coarse for AdamW.
    model.is_loaded_in_4bit = False
    return adapted


def left_out(model: Any) -> list[str]:
    """Names of linear layers where an adapter would learn nothing: experts' routers, those that kernels pass by, and
    those that a model sees and hears with, as training is of text.
    """
    import torch

    language = next((name for name, _ in model.named_modules() if name.rpartition(".")[2] == "language_model"), "")
    beside = f"{language.rpartition('.')[0]}." if language else ""
    kernels = getattr(model.config, "model_type", None) in WITH_SUCH_KERNELS
    names = []
    for name, module in model.named_modules():
        if not isinstance(module, torch.nn.Linear):
            continue
        mixer = model.get_submodule(name.rpartition(".")[0])
        passed_by = kernels and hasattr(mixer, "A_log") and name.rpartition(".")[2] in PASSED_BY
        # Some routers are linear layers that return scores and choices, not one tensor.
        senses = beside and name.startswith(beside) and not name.startswith(f"{language}.")
        if passed_by or senses or "Router" in type(module).__name__:
            names.append(name)
    return names


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
