"""The train stage: the method card's trainer trains on the core, the result is saved."""

from __future__ import annotations

import gc
import time
from typing import Any

from tunesmith.daemon.api import events as e
from tunesmith.daemon.worker import planned, processor
from tunesmith.daemon.worker.context import Context
from tunesmith.daemon.worker.train import checkpoint, gradients, memory, resume
from tunesmith.daemon.worker.train.growing import growing
from tunesmith.daemon.worker.train.report import callbacks

LEARNED_FROM = 10  # steps: fewer are mostly what comes before and after them


def run(context: Context) -> None:
    set_up, core = context.set_up, context.core
    saved = checkpoint.newest(context)
    context.emit(e.PathsChosen(time=time.time(), paths=core.paths))
    told = [growing(context.prepared, context.spec.training.epochs), *callbacks(context, set_up.device, set_up.dtype)]
    processor.release_freed_memory()  # what loading, the proof and the limit's measuring left behind
    processor.keep_freed_memory()
    skip = saved.step if saved else 0
    trainer = set_up.trainer(context, skip, [*told, *gradients.callbacks(context.model)])
    began = time.monotonic()
    resume.train(context, trainer, saved, core.paths)
    steps = trainer.state.global_step - skip
    context.check_cancelled()
    context.prepared.finish()
    if set_up.tuner.adapter:
        context.model.save_pretrained(str(context.adapter))
    if steps >= LEARNED_FROM:
        peak = memory.peak(set_up.device)
        planned.learn(context, memory_bytes=peak, step_seconds=(time.monotonic() - began) / steps)
    let_go(trainer)


def let_go(trainer: Any) -> None:
    """Free the optimizer's state, which may be twice the model: nothing that follows needs it."""
    trainer.optimizer = trainer.lr_scheduler = None
    trainer.callback_handler.optimizer = trainer.callback_handler.lr_scheduler = None
    trainer.accelerator.free_memory()
    gc.collect()  # callbacks and trainer hold each other
    processor.release_freed_memory()
