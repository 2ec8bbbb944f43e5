"""An adapter as it lies in its folder, and put on its base: the real one, or one that is shapes without weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tunesmith.daemon.worker.load import short
from tunesmith.recipes.errors import ModelError
from tunesmith.recipes.models import safetensors

WEIGHTS = "adapter_model.safetensors"


def config_of(adapter: Path) -> Any:
    """peft's configuration of the adapter in a folder. Raises ModelError where there is none, or none that merges."""
    from peft import PeftConfig

    hint = "Give a folder with adapter_config.json and adapter_model.safetensors, as peft saves them."
    if not (adapter / WEIGHTS).is_file():
        raise ModelError(f"{adapter} has no {WEIGHTS}", hint, "no_adapter")
    try:
        config: Any = PeftConfig.from_pretrained(str(adapter))
    except (ValueError, TypeError, KeyError, OSError) as error:
        raise ModelError(f"The adapter in {adapter} cannot be read: {short(error)}", hint, "no_adapter") from error
    if config.is_prompt_learning or getattr(config, "megatron_config", None):
        kind = getattr(config.peft_type, "value", config.peft_type)
        raise ModelError(
            f"The adapter in {adapter} ({kind}) cannot be merged: it is no change of the base's weights",
            "Leave it out; LoRA and its kin, IA3, OFT and HRA can be merged.",
            "cannot_merge",
        )
    return config


def fitted(model: Any, adapter: Path, **how: Any) -> Any:
    """`model` with the adapter on it. Raises ModelError where it was made for another base."""
    from peft import PeftModel, get_peft_model_state_dict

    def unfit(why: str) -> ModelError:
        text = f"The adapter in {adapter} does not fit the base: {why}"
        return ModelError(text, "Give an adapter that was trained on this base.", "other_base")

    try:
        adapted = PeftModel.from_pretrained(model, str(adapter), **how)
    except (RuntimeError, ValueError, KeyError) as error:
        raise unfit(short(error)) from error
    taken = get_peft_model_state_dict(adapted, save_embedding_layers=False)
    prefix = adapted.base_model.prefix
    # peft only leaves out what it finds no place for.
    for tensor in safetensors.read(adapter / WEIGHTS):
        if prefix in tensor.name and tensor.name not in taken:
            raise unfit(f"the base has no place for {tensor.name}")
    return adapted


def skeleton(base: Path) -> Any:
    """The base's model, without its weights."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.from_pretrained(str(base), local_files_only=True, trust_remote_code=False)
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(config, dtype=torch.float32, trust_remote_code=False)


def hollow(model: Any) -> None:
    """Each parameter becomes one number that stands for all: of the same shape, on the processor, without memory."""
    import torch

    made: dict[Any, Any] = {}
    for module in model.modules():
        for name, parameter in module._parameters.items():
            if parameter is None:
                continue
            if parameter not in made:
                values = torch.zeros((), dtype=torch.float32).expand(parameter.shape)
                made[parameter] = torch.nn.Parameter(values, requires_grad=False)
            module._parameters[name] = made[parameter]


def shared_parameters(model: Any) -> set[str]:
    """Names of parameters that have another name too: tied embeddings."""
    by_parameter: dict[int, list[str]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        by_parameter.setdefault(id(parameter), []).append(name)
    return {name for together in by_parameter.values() if len(together) > 1 for name in together}
