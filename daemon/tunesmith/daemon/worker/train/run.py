"""The train stage: the method card's trainer trains on the core, the result is saved."""

from __future__ import annotations

import gc
import time
from typing import Any

from tunesmith.daemon.api import events as e
from tunesmith.daemon.worker import planned, processor
from tunesmith.daemon.worker.context import Context
from tunesmith.daemon.worker.train import checkpoint, gradients, identity, memory, resume
from tunesmith.daemon.worker.train.checkpoint import Checkpoint
from tunesmith.daemon.worker.train.growing import growing
from tunesmith.daemon.worker.train.report import callbacks
from tunesmith.daemon.worker.trained import Trained

LEARNED_FROM = 10  # steps: fewer are mostly what comes before and after them


def run(context: Context) -> None:
    """Raises JobError when an earlier attempt trained something else."""
    saved = checkpoint.newest(context)
    context.emit(e.PathsChosen(time=time.time(), paths=context.core.paths))
    steps, total, weights = over(context, saved) if saved is not None and saved.over else train(context, saved)
    context.check_cancelled()
    context.prepared.finish()
    if context.set_up.tuner.adapter:
        context.model.save_pretrained(str(context.adapter))
    context.trained = Trained(
        steps=steps,
        total_steps=total,
        base=identity.base_fingerprint(context.base),
        weights=weights,
        tuner=context.spec.tuner,
        inexact=tuple(map(str, context.inexact)),
    )


def train(context: Context, saved: Checkpoint | None) -> tuple[int, int, str]:
    """Returns the last step's number, how many there were to be, and the fingerprint of what was trained."""
    set_up, core = context.set_up, context.core
    told = [growing(context.prepared, context.spec.training.epochs), *callbacks(context, set_up.device, set_up.dtype)]
    processor.release_freed_memory()  # what loading, the proof and the limit's measuring left behind
    processor.keep_freed_memory()
    skip = saved.step if saved else 0
    trainer = set_up.trainer(context, skip, [*told, *gradients.callbacks(context.model)])
    began = time.monotonic()
    weights = resume.train(context, trainer, saved, core.paths)
    last, total = int(trainer.state.global_step), int(trainer.state.max_steps)
    steps = last - skip
    if steps >= LEARNED_FROM and not context.cancelled:
        peak = memory.peak(set_up.device)
        planned.learn(context, memory_bytes=peak, step_seconds=(time.monotonic() - began) / steps)
    let_go(trainer)
    return last, total, weights


def over(context: Context, saved: Checkpoint) -> tuple[int, int, str]:
    """As `train`. What was trained to its end, or to where it was stopped and kept, is not trained again."""
    trainer = context.set_up.trainer(context, saved.step, ())
    resume.restore(context, trainer, saved)
    let_go(trainer)
    return saved.step, max(saved.total_steps, saved.step), saved.trained


def let_go(trainer: Any) -> None:
    """Free the optimizer's state, which may be twice the model: nothing that follows needs it."""
    trainer.optimizer = trainer.lr_scheduler = None
    trainer.callback_handler.optimizer = trainer.callback_handler.lr_scheduler = None
    trainer.accelerator.free_memory()
    gc.collect()  # callbacks and trainer hold each other
    processor.release_freed_memory()
