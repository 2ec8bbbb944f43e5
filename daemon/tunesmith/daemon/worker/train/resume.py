"""Training that can be stopped at any time and goes on as if it never was: equal to the bit on the same CPU."""

from __future__ import annotations

import hashlib
import math
import shutil
import time
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from tunesmith.daemon.api import events as e
from tunesmith.daemon.api.events import PathTaken
from tunesmith.daemon.worker.context import Context
from tunesmith.daemon.worker.train import checkpoint
from tunesmith.daemon.worker.train.checkpoint import Checkpoint
from tunesmith.recipes.errors import MachineError
from tunesmith.recipes.units import bytes_text

SAVE_EVERY_S = 120.0  # what a crash may cost
SAVING_SHARE = 0.02  # of the time; large models are saved less often
ENGINES = ("torch", "transformers", "peft", "trl", "tunesmith")  # whose versions results depend on


def train(context: Context, trainer: Any, saved: Checkpoint | None, paths: Sequence[PathTaken]) -> None:
    """`trainer.train()`, from `saved` on where there is one, with checkpoints as the recipe's save_steps says.

    The trainer's data has to leave out the first `saved.step` batches itself.
    """
    from transformers import set_seed

    keeper = _keeper(context, trainer, saved, paths)
    trainer.add_callback(keeper)
    set_seed(context.spec.training.seed)  # whatever was drawn while this was set up
    if saved is None:
        trainer.train()
        return
    trainer.args.ignore_data_skip = True
    trainer.train(resume_from_checkpoint=str(checkpoint.folder_of(context, saved.step)))


def _keeper(context: Context, trainer: Any, saved: Checkpoint | None, paths: Sequence[PathTaken]) -> Any:
    """The trainer callback that restores and saves. A function, since its class must inherit from transformers'."""
    from transformers import TrainerCallback

    every = context.spec.training.save_steps

    class Keeper(TrainerCallback):  # type: ignore[misc]  # transformers is untyped to mypy
        resumed_at = saved
        apart_s = SAVE_EVERY_S
        last = time.monotonic()

        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self.last = time.monotonic()
            context.patient = every != 0
            if saved is None:
                return
            if fingerprint(trainer.model) != saved.trained:
                raise MachineError(
                    f"The weights of the checkpoint of step {saved.step} did not arrive in the model",
                    "This is our fault; begin anew with `tunesmith run`, and report it.",
                    "resume_failed",
                )
            for schedule in trainer.lr_scheduler.lr_lambdas:
                schedule.keywords.update(saved.schedule)
            for warning in differences(saved.surroundings, surroundings(trainer, paths)):
                context.notice("warning", f"Going on after step {saved.step} is not exact to the bit: {warning}.")
            context.emit(e.Resumed(time=time.time(), step=saved.step, attempt=context.attempt))

        def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if self.resumed_at is not None:
                # Only now: setting up and reading data draw random numbers of their own.
                trainer._load_rng_state(str(checkpoint.folder_of(context, self.resumed_at.step)))
                self.resumed_at = None

        def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
            """A step is over and has been reported."""
            if every == 0 or not logs or "loss" not in logs:
                return
            sound = all(math.isfinite(float(logs.get(key, 0.0))) for key in ("loss", "grad_norm"))
            if sound and (context.cancelled or self.due(state)):
                context.hold_on()
                self.save(state)
            if context.cancelled:
                context.patient = False
                context.check_cancelled()

        def due(self, state: Any) -> bool:
            if state.global_step >= state.max_steps:
                return True  # what comes after training can fail too
            if every is not None:
                return bool(state.global_step % every == 0)
            return time.monotonic() - self.last >= self.apart_s

        def save(self, state: Any) -> None:
            began = time.monotonic()
            found = Checkpoint(
                step=state.global_step,
                spec=context.spec,
                data=checkpoint.sources(context),
                data_complete=context.prepared.finished,
                base=checkpoint.base_fingerprint(context.base),
                trained=fingerprint(trainer.model),
                schedule=dict(trainer.lr_scheduler.lr_lambdas[0].keywords),
                surroundings=surroundings(trainer, paths),
            )
            over = state.global_step >= state.max_steps
            needed = size(trainer, over)
            try:
                free = shutil.disk_usage(context.job).free
                if free < needed:
                    raise OSError(f"{bytes_text(free)} are free, it needs {bytes_text(needed)}")
                seconds = checkpoint.save(context, found, lambda folder: write(trainer, folder, over), began)
                self.apart_s = max(SAVE_EVERY_S, seconds / SAVING_SHARE)
            except (OSError, MachineError) as error:  # training is worth more than a checkpoint of it
                context.notice("warning", f"Step {state.global_step} could not be saved: {error}.")
            self.last = time.monotonic()

        def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            context.patient = False

    return Keeper()


def write(trainer: Any, folder: Path, over: bool) -> None:
    """All that `trainer.train(resume_from_checkpoint=folder)` reads. Raises OSError.

    When training is `over` nobody asks for the optimizer again, and it is larger than all the rest.
    """
    import dataclasses

    from peft import PeftModel, get_peft_model_state_dict
    from safetensors.torch import save_file

    if isinstance(trainer.model, PeftModel):
        # The embedding is kept only where it is trained.
        weights = get_peft_model_state_dict(trainer.model, save_embedding_layers=False)
        name = "adapter_model.safetensors"
    else:
        weights, name = dict(trained(trainer.model)), "model.safetensors"
    save_file({key: value.detach().cpu().contiguous() for key, value in weights.items()}, folder / name)
    if not over:
        trainer._save_optimizer_and_scheduler(str(folder))
    trainer._save_scaler(str(folder))
    trainer._save_rng_state(str(folder))
    # The journal has the history.
    dataclasses.replace(trainer.state, log_history=[]).save_to_json(str(folder / "trainer_state.json"))


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


def size(trainer: Any, over: bool) -> int:
    """Bytes of a checkpoint: the trained weights and, until training is `over`, what the optimizer keeps of them."""
    import torch

    tensors = [weight for _, weight in trained(trainer.model)]
    if not over:
        for kept in trainer.optimizer.state_dict()["state"].values():
            tensors += [value for value in kept.values() if isinstance(value, torch.Tensor)]
    return sum(int(tensor.nbytes) for tensor in tensors)


def surroundings(trainer: Any, paths: Sequence[PathTaken]) -> dict[str, str]:
    """What results depend on beside the recipe and its data, by name."""
    import torch

    device = trainer.args.device
    found = {name: metadata.version(name) for name in ENGINES}
    found["processor"] = torch.backends.cpu.get_cpu_capability()
    found["device"] = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    found["threads"] = str(torch.get_num_threads())
    return found | {path.part: path.taken for path in paths}


def differences(before: dict[str, str], now: dict[str, str]) -> list[str]:
    """A sentence for each that changed."""
    return [
        f"{name} was {before.get(name, 'not there')} and is {now.get(name, 'not there')}"
        for name in sorted(before.keys() | now.keys())
        if before.get(name) != now.get(name)
    ]
