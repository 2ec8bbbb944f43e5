"""Where training begins when that is not the base: what an earlier run of the same base and tuner exported, verified.

The optimizer and the learning-rate schedule begin anew. An adapter is taken up to the bit; where every weight is
trained it is the merged model, which has the dtype of the base.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tunesmith.daemon import publish
from tunesmith.daemon.worker import trained
from tunesmith.daemon.worker.context import Context
from tunesmith.daemon.worker.train import identity
from tunesmith.recipes import again
from tunesmith.recipes.errors import ModelError
from tunesmith.recipes.spec import TRAIN
from tunesmith.recipes.tuners import Tuner
from tunesmith.recipes.words import say

WEIGHTS = "adapter_model.safetensors"
MAY_DIFFER = {"dropout"}  # of a tuner's knobs: what is no part of the trained weights


def folder(context: Context, tuner: Tuner) -> Path | None:
    """The verified folder that the recipe names. Raises ModelError when it does not fit, MachineError when damaged."""
    start = again.weights(context.spec)
    if start is None:
        return None
    expected = WEIGHTS if tuner.adapter else "config.json"
    if not (start / expected).is_file():
        what = "the adapter" if tuner.adapter else "the merged model"
        raise ModelError(f"{start} has no {expected}", f"Give {what} that a run with {tuner.title} exported.")
    publish.verify_folder(start)
    before = trained.read(start.parent)
    if fixed(before.tuner) != fixed(context.spec.tuner):
        raise ModelError(
            f"{start} was trained with {told(before.tuner)}, this run has {told(context.spec.tuner)}",
            "Give both the same tuner.",
            "other_tuner",
        )
    if before.base != identity.base_fingerprint(context.base):
        raise ModelError(
            f"{start} was trained on another base than {context.base}",
            "Give model.source the base of that run, as it was then.",
            "other_base",
        )
    if context.spec.task == TRAIN:
        english = "Training begins from {start}; the optimizer and the learning-rate schedule start anew."
        context.notice("info", say("begins_from", english, start=start))
    return start


def take_up(model: Any, start: Path) -> None:
    """The adapter of `model` becomes that in `start`. Raises ModelError when it does not arrive whole."""
    from peft import get_peft_model_state_dict, set_peft_model_state_dict
    from safetensors.torch import load_file

    weights = load_file(str(start / WEIGHTS))
    own = get_peft_model_state_dict(model, save_embedding_layers=False)
    shapes = {name: tuple(weight.shape) for name, weight in weights.items()}
    if shapes != {name: tuple(weight.shape) for name, weight in own.items()}:
        raise ModelError(f"The adapter in {start} has other layers than this model", "Give it the base it belongs to.")
    set_peft_model_state_dict(model, weights)
    if identity.fingerprint(model) != trained.read(start.parent).weights:
        raise ModelError(f"The adapter in {start} did not arrive in the model", "Export it again: repeat its run.")


def fixed(tuner: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in tuner.items() if key not in MAY_DIFFER}


def told(tuner: dict[str, Any]) -> str:
    """`lora (rank 8, alpha 16)`."""
    knobs = ", ".join(f"{key} {value}" for key, value in fixed(tuner).items() if key != "kind")
    return f"{tuner['kind']} ({knobs})" if knobs else str(tuner["kind"])
