"""Training that can be stopped at any time and goes on as if it never was: equal to the bit on the same CPU."""

from __future__ import annotations

import math
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tunesmith.daemon import crash_points
from tunesmith.daemon.api import events as e
from tunesmith.daemon.api.events import PathTaken
from tunesmith.daemon.worker.context import Context
from tunesmith.daemon.worker.train import checkpoint, identity
from tunesmith.daemon.worker.train.checkpoint import Checkpoint
from tunesmith.recipes.errors import JobError, MachineError
from tunesmith.recipes.words import Words, said, say

SAVE_EVERY_S = 120.0  # what a crash may cost
SAVING_SHARE = 0.02  # of the time; large models are saved less often


def train(context: Context, trainer: Any, saved: Checkpoint | None, paths: Sequence[PathTaken]) -> str:
    """`trainer.train()`, from `saved` on where there is one, with checkpoints as the recipe's save_steps says.

    The trainer's data has to leave out the first `saved.step` batches itself. Returns the fingerprint of the weights
    that were trained.
    """
    from transformers import set_seed

    keeper = _keeper(context, trainer, saved, paths)
    trainer.add_callback(keeper)
    set_seed(context.spec.training.seed)  # whatever was drawn while this was set up
    if saved is None:
        trainer.train()
    else:
        _refuse_other_optimizer(trainer, saved)
        trainer.args.ignore_data_skip = True
        trainer.train(resume_from_checkpoint=str(checkpoint.folder_of(context, saved.step)))
    made: Checkpoint | None = keeper.made
    if made is not None and made.step == trainer.state.global_step:
        return made.trained
    return identity.fingerprint(trainer.model)


def restore(context: Context, trainer: Any, saved: Checkpoint) -> None:
    """The weights of a training that was over, without a step: they are what they were, whatever has changed since."""
    trainer._load_from_checkpoint(str(checkpoint.folder_of(context, saved.step)))
    _refuse_other_weights(trainer, saved)
    _tell(context, saved, [])
    total = max(saved.total_steps, saved.step)
    context.progress(saved.step, total, "steps")
    if saved.step < total:
        context.emit(e.StoppedEarly(time=time.time(), step=saved.step, total_steps=total))


def _keeper(context: Context, trainer: Any, saved: Checkpoint | None, paths: Sequence[PathTaken]) -> Any:
    """The trainer callback that restores and saves. A function, since its class must inherit from transformers'."""
    from transformers import TrainerCallback

    every = context.spec.training.save_steps

    class Keeper(TrainerCallback):  # type: ignore[misc]  # transformers is untyped to mypy
        resumed_at = saved
        made: Checkpoint | None = None
        apart_s = SAVE_EVERY_S
        last = time.monotonic()

        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self.last = time.monotonic()
            context.patient = every != 0
            if saved is None:
                return
            _refuse_other_weights(trainer, saved)
            for schedule in trainer.lr_scheduler.lr_lambdas:
                schedule.keywords.update(saved.schedule)
            _tell(context, saved, identity.inexactness(saved.surroundings, identity.surroundings(trainer, paths)))

        def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if self.resumed_at is not None:
                # Only now: setting up and reading data draw random numbers of their own.
                trainer._load_rng_state(str(checkpoint.folder_of(context, self.resumed_at.step)))
                self.resumed_at = None

        def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
            """A step is over and has been reported."""
            if not logs or "loss" not in logs:
                return
            last = state.global_step >= state.max_steps
            early = context.keeping and not last
            sound = all(math.isfinite(float(logs.get(key, 0.0))) for key in ("loss", "grad_norm"))
            if every != 0 and sound and (context.cancelled or early or self.due(state)):
                with context.held():
                    self.save(state, over=last or early)
            if context.cancelled:
                context.patient = False
                context.check_cancelled()
            if early:
                context.keeping, control.should_training_stop = False, True
                event = e.StoppedEarly(time=time.time(), step=state.global_step, total_steps=state.max_steps)
                context.emit(event)

        def due(self, state: Any) -> bool:
            if state.global_step >= state.max_steps:
                return True  # what comes after training can fail too
            if every is not None:
                return bool(state.global_step % every == 0)
            return time.monotonic() - self.last >= self.apart_s

        def save(self, state: Any, over: bool) -> None:
            began = time.monotonic()
            try:
                found = facts(context, trainer, paths, state, over)
                checkpoint.save(context, found, lambda folder: write(trainer, folder, over), size(trainer, over))
                self.made, self.apart_s = found, max(SAVE_EVERY_S, (time.monotonic() - began) / SAVING_SHARE)
            except JobError:  # another attempt has the job by now
                raise
            except Exception as error:  # noqa: BLE001  # torch and safetensors have errors of their own for a full disk
                traceback.print_exc()  # training is worth more than a checkpoint of it
                text = str(error).strip().splitlines() or [type(error).__name__]
                english = "Step {step} could not be saved: {error}."
                context.notice("warning", say("not_saved", english, step=state.global_step, error=text[0]))
            self.last = time.monotonic()

        def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            context.patient = False

    return Keeper()


def facts(context: Context, trainer: Any, paths: Sequence[PathTaken], state: Any, over: bool) -> Checkpoint:
    """All that the trainer's state after this step depends on."""
    optimizer, parameters = identity.optimizer(trainer)
    return Checkpoint(
        step=state.global_step,
        total_steps=state.max_steps,
        over=over,
        spec=context.spec,
        data=checkpoint.sources(context),
        data_complete=context.prepared.finished,
        order=checkpoint.order(context, state.global_step),
        base=identity.base_fingerprint(context.base),
        trained=identity.fingerprint(trainer.model),
        schedule=dict(trainer.lr_scheduler.lr_lambdas[0].keywords),
        optimizer=optimizer,
        parameters=parameters,
        scaler=getattr(trainer.accelerator, "scaler", None) is not None,
        surroundings=identity.surroundings(trainer, paths),
        inexact=tuple(map(str, context.inexact)),
        inexact_said=tuple(map(said, context.inexact)),
    )


def write(trainer: Any, folder: Path, over: bool) -> None:
    """All that `trainer.train(resume_from_checkpoint=folder)` reads. Raises what torch and safetensors raise.

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
        weights, name = dict(identity.trained(trainer.model)), "model.safetensors"
    save_file({key: value.detach().cpu().contiguous() for key, value in weights.items()}, folder / name)
    crash_points.reach("checkpoint.file_written")
    if not over:
        trainer._save_optimizer_and_scheduler(str(folder))
        crash_points.reach("checkpoint.file_written")
    trainer._save_scaler(str(folder))
    trainer._save_rng_state(str(folder))
    crash_points.reach("checkpoint.file_written")
    # The journal has the history.
    dataclasses.replace(trainer.state, log_history=[]).save_to_json(str(folder / "trainer_state.json"))
    crash_points.reach("checkpoint.file_written")


def size(trainer: Any, over: bool) -> int:
    """Bytes of a checkpoint: the trained weights and, until training is `over`, what the optimizer keeps of them."""
    import torch

    tensors = [weight for _, weight in identity.trained(trainer.model)]
    if not over:
        for kept in trainer.optimizer.state_dict()["state"].values():
            tensors += [value for value in kept.values() if isinstance(value, torch.Tensor)]
    return sum(int(tensor.nbytes) for tensor in tensors)


def _refuse_other_optimizer(trainer: Any, saved: Checkpoint) -> None:
    """Raises JobError when the saved optimizer's state would be taken for that of other parameters."""
    trainer.create_optimizer()
    if saved.parameters and (saved.optimizer, saved.parameters) != identity.optimizer(trainer):
        raise JobError(
            f"The optimizer is not the {saved.optimizer} of the checkpoint of step {saved.step}, "
            "or trains other parameters, or in another order",
            "Another version of a library orders them anew: begin anew with `tunesmith run`.",
            "resume_mismatch",
        )


def _refuse_other_weights(trainer: Any, saved: Checkpoint) -> None:
    """Raises MachineError when what was loaded is not what was saved: loaders leave out what they do not know."""
    if identity.fingerprint(trainer.model) != saved.trained:
        raise MachineError(
            f"The weights of the checkpoint of step {saved.step} did not arrive in the model",
            "This is our fault; begin anew with `tunesmith run`, and report it.",
            "resume_failed",
        )


def _tell(context: Context, saved: Checkpoint, reasons: Sequence[str]) -> None:
    """What is not exact once stays so: a later attempt goes on from it."""
    before = (Words(known) for known in saved.inexact_said) if saved.inexact_said else saved.inexact
    context.inexact = tuple(dict.fromkeys((*before, *reasons)))
    if reasons:
        english = "Going on after step {step} is not exact to the bit: {reasons}."
        context.notice("warning", say("inexact", english, step=saved.step, reasons=reasons))
    event = e.Resumed(
        time=time.time(),
        step=saved.step,
        attempt=context.attempt,
        exact=not context.inexact,
        reasons=tuple(map(str, context.inexact)),
        reasons_said=tuple(said(reason) for reason in context.inexact),
    )
    context.emit(event)
