"""The stages of a job in order, each with the modules whose `run(context)` does it."""

from __future__ import annotations

import importlib

from tunesmith.daemon import publish
from tunesmith.daemon.worker import preflight, processor
from tunesmith.daemon.worker.context import Context

WORKER = "tunesmith.daemon.worker"
# Imported when their turn comes: the first event must not wait for torch.
STAGES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("fetch", ("fetch",)),
    ("prepare", ("data.prepare",)),
    ("probe", ("planned", "train.set_up", "train.probe")),
    ("train", ("train.run",)),
    ("evaluate", ("evaluate",)),
    ("export", ("train.merge", "export")),
    ("verify", ("verify",)),
)


def run_all(context: Context) -> None:
    context.fence.check()
    publish.remove_staged_folders(context.job)
    for left in context.job.glob("work-*"):
        if left != context.work:
            publish.remove(left)  # of an attempt that ended early, as large as the model
    for stage, modules in STAGES:
        context.begin(stage)
        preflight.look(context, stage)
        for module in modules:
            importlib.import_module(f"{WORKER}.{module}").run(context)
        context.end()
        processor.release_freed_memory()  # no stage needs what another has let go of
    context.fence.check()
    publish.remove(context.checkpoints)  # what has finished is never resumed
