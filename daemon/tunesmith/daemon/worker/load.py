"""Loading a model folder: device and dtype as the recipe says, or as this machine suits."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from tunesmith.daemon.api import wording
from tunesmith.daemon.api.events import PathTaken
from tunesmith.recipes import exports, optimizers, quants, tuners
from tunesmith.recipes.errors import MachineError, ModelError
from tunesmith.recipes.models import headers
from tunesmith.recipes.spec import JobSpec, TrainingSpec
from tunesmith.recipes.words import say

FILES_HINT = "Fetch the model again, or copy its files again."
MODEL_HINT = (
    "Check that its files are whole and that it is a text model which transformers knows; code of its own is never run."
)


def leave_out_unused(spec: JobSpec) -> None:
    """A run without its kernels hides bitsandbytes from peft and transformers: importing it takes them 1 to 2 s."""
    used = {quants.cards()[spec.quantization].package, optimizers.cards()[spec.training.optimizer].package}
    used |= {exports.find(target)[0].package for target in spec.exports}
    if "bitsandbytes" not in used:
        sys.modules["bitsandbytes"] = None  # type: ignore[assignment]  # Python's own way to say "not there"


def trainer() -> None:
    """Import what training needs, some five seconds' worth, while something else goes on."""
    import peft  # noqa: F401
    from trl import SFTTrainer  # noqa: F401


def tokenizer(folder: Path) -> Any:
    """The tokenizer of `folder`, with a chat template and a padding token. Raises ModelError."""
    from transformers import AutoTokenizer

    try:
        loaded = AutoTokenizer.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
    except Exception as error:
        raise ModelError(f"The tokenizer of {folder} cannot be loaded: {short(error)}", FILES_HINT) from error
    if not loaded.is_fast:
        raise ModelError(f"{folder} has no fast tokenizer", "Save it once with transformers to get tokenizer.json.")
    if not loaded.chat_template:
        raise ModelError(
            f"{folder} has no chat template, so it is not known how a conversation is written",
            "Use an instruct model, or put its chat_template.jinja into the folder.",
        )
    if loaded.pad_token_id is None:
        loaded.pad_token = loaded.eos_token
    return loaded


def device(training: TrainingSpec) -> str:
    """Where to train. Raises MachineError when the recipe asks for what is not there."""
    import torch

    here = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if training.device == "auto":
        return next(name for name, present in here.items() if present)
    if not here[training.device]:
        raise MachineError(f"This machine has no {training.device} device", "Set training.device to auto.")
    return training.device


def dtype(training: TrainingSpec, device_name: str) -> Any:
    """float32 on CPUs (most have no bfloat16 unit) and Apple GPUs; bfloat16 on an NVIDIA GPU that has it."""
    import torch

    if training.dtype != "auto":
        return {"float32": torch.float32, "bfloat16": torch.bfloat16}[training.dtype]
    real_bf16 = device_name == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.bfloat16 if real_bf16 else torch.float32


def weights_dtype(spec: JobSpec, kind: Any) -> Any:
    """What the base is loaded in when `kind` computes: float32 where it is trained itself.

    A step of 1e-5 is lost when it is added to bfloat16, which has 8 bits; autocast then computes in `kind`.
    """
    import torch

    return kind if tuners.cards()[spec.tuner["kind"]].adapter else torch.float32


def model(folder: Path, device_name: str, kind: Any, quantization: str = "none") -> Any:
    """The causal language model of `folder`, quantized as the card of that key says, or as it is. Raises ModelError."""
    import torch
    from transformers import AutoModelForCausalLM

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS") or torch.get_num_threads()))
    more: dict[str, Any] = {}
    card = quants.cards()[quantization]
    if config := card.config(kind):
        more = {"quantization_config": config}
    if quantized := config is not None or "quantization_config" in headers.config_of(folder):
        more["device_map"] = {"": device_name}
    try:
        loaded, info = AutoModelForCausalLM.from_pretrained(
            str(folder), dtype=kind, local_files_only=True, trust_remote_code=False, use_safetensors=True,
            output_loading_info=True, **more,
        )  # fmt: skip
    except (MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        raise ModelError(f"The model in {folder} cannot be loaded: {short(error)}", MODEL_HINT) from error
    refuse_missing(folder, info)
    card.settle(loaded)
    return loaded if quantized else loaded.to(device_name)


def refuse_missing(folder: Path, info: dict[str, Any]) -> None:
    """Raises ModelError for weights that the files lack: transformers would draw them at random and only warn."""
    missing = sorted(str(name) for key in ("missing_keys", "mismatched_keys") for name in info.get(key) or ())
    if missing:
        more = f" and {len(missing) - 1} more weights" if missing[1:] else ""
        raise ModelError(f"{folder} lacks {missing[0]}{more}", FILES_HINT, "model_files")


def short(error: Exception) -> str:
    """The first line of what a library says."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)[:300]


def base_path(spec: JobSpec, device_name: str, kind: Any) -> PathTaken:
    """How the base is stored and computed with, and why."""
    computed = str(kind).removeprefix("torch.")
    kept = str(weights_dtype(spec, kind)).removeprefix("torch.")
    card = quants.cards()[spec.quantization]
    kept = card.title if spec.quantization != "none" else kept
    stored = say("stored_computed", "{stored}, computed in {dtype}", stored=kept, dtype=computed)
    if spec.quantization != "none":
        english = "{quantization}: its weights are turned back into {dtype} for every product"
        why = say("turned_back", english, quantization=card.title, dtype=computed)
        return wording.path("base", stored, why, fastest=device_name not in card.slow_on)
    if kept != computed:
        return wording.path("base", stored, say("float32_bits", "weights that are trained need the bits of float32"))
    if spec.training.dtype != "auto":
        return wording.path("base", computed, say("says_so", "the recipe says so"))
    if device_name == "cuda":
        return wording.path(
            "base", computed, say("computes_fastest", "what {device} computes fastest here", device="cuda")
        )
    english = "exact to 24 bits; training.dtype bfloat16 halves the memory of the weights, slower where it was measured"
    return wording.path("base", computed, say("exact_24_bits", english))


def stored_dtype(folder: Path) -> Any:
    """The dtype the weights of `folder` are kept in: that of its config, float32 when it says nothing."""
    import torch
    from transformers import AutoConfig

    found = AutoConfig.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False).dtype
    return found if isinstance(found, torch.dtype) else torch.float32
