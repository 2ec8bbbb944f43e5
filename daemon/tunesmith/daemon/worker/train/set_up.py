"""Everything a training step needs: the base loaded, the tuner attached, the core built; and the method's trainer."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import msgspec

from tunesmith.daemon.worker import load, processor
from tunesmith.daemon.worker.context import Context
from tunesmith.daemon.worker.data.feed import loader
from tunesmith.daemon.worker.train import gradient_checkpointing, start
from tunesmith.daemon.worker.train.paths import build
from tunesmith.recipes import methods, optimizers, tuners
from tunesmith.recipes.checks import refuse_unsuited
from tunesmith.recipes.methods import Method
from tunesmith.recipes.spec import JobSpec
from tunesmith.recipes.tuners import Tuner


class SetUp(msgspec.Struct):
    """How this run trains. `dtype` is torch's, that of the computing."""

    method: Method
    tuner: Tuner
    device: str
    dtype: Any

    def trainer(self, context: Context, skip: int, callbacks: Sequence[Any], folder: str = "trainer") -> Any:
        """The method's trainer over all batches but the first `skip`."""
        import torch

        spec = context.spec
        return self.method.trainer(
            context.model,
            context.tokenizer,
            partial(loader, context.prepared.feed, spec.training.epochs, skip),
            arguments(spec, self.device, self.dtype == torch.bfloat16, str(context.work / folder)),
            knobs(spec.method),
            list(callbacks),
            context.core,
        )


def run(context: Context) -> None:
    """Raises RecipeError for what does not run on the device, ModelError."""
    from transformers import set_seed

    spec = context.spec
    method, tuner = methods.cards()[spec.method["kind"]], tuners.cards()[spec.tuner["kind"]]
    device = load.device(spec.training)
    refuse_unsuited(spec, device)
    kind = load.dtype(spec.training, device)
    set_seed(spec.training.seed)
    processor.release_freed_memory()  # what preparing left behind
    begin = start.folder(context, tuner)
    whole = context.base if begin is None or tuner.adapter else begin
    base = load.model(whole, device, load.weights_dtype(spec, kind), spec.quantization)
    context.check_cancelled()
    model = tuner.attach(base, knobs(spec.tuner), spec.training.seed)
    if begin is not None and tuner.adapter:
        start.take_up(model, begin)
    core = build(model, training=spec.training, device=device, pad_token_id=context.tokenizer.pad_token_id)
    _, kept = gradient_checkpointing.choose(core, spec.training, device, context.prepared.longest, core.size)
    core.paths = (load.base_path(spec, device, kind), *core.paths, kept)
    context.prepared.feed.bucketed = not core.packs
    context.model, context.core, context.set_up = model, core, SetUp(method, tuner, device, kind)


def knobs(part: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in part.items() if key != "kind"}


def arguments(spec: JobSpec, device: str, bfloat16: bool, folder: str) -> dict[str, Any]:
    """Every trainer argument that is not its default, in one place."""
    training = spec.training
    return {
        "output_dir": folder,
        "learning_rate": training.learning_rate,
        "num_train_epochs": 1,  # to the trainer: the data loader goes through all
        # What the data loader yields is a whole step; its rows are the recipe's batch and accumulation.
        "per_device_train_batch_size": training.batch_size * training.gradient_accumulation,
        "gradient_accumulation_steps": 1,
        "max_length": None,  # prepare has seen to it
        "optim": optimizers.cards()[training.optimizer].name,
        "adam_beta2": 0.95,
        "weight_decay": training.weight_decay,
        "max_grad_norm": training.gradient_clip,
        "lr_scheduler_type": "cosine",
        "warmup_steps": training.warmup_fraction,  # below 1: a share of all steps
        "gradient_checkpointing": False,  # the core has chosen the layers
        "activation_offloading": training.activation_offload,
        "seed": training.seed,
        "data_seed": training.seed,
        "use_cpu": device == "cpu",
        "bf16": bfloat16,
        "fp16": False,
        "pad_to_multiple_of": None,
        "logging_steps": 1,
        "logging_nan_inf_filter": False,  # a bad step must be seen
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
    }
