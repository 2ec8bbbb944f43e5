"""The stages of each task in order, each stage with the modules whose `run(context)` does it."""

from __future__ import annotations

import importlib

from tunesmith.daemon import publish
from tunesmith.daemon.worker import preflight, processor
from tunesmith.daemon.worker.context import Context
from tunesmith.recipes.spec import BENCHMARK, EVALUATE, EXPORT, MERGE, TRAIN, JobSpec

WORKER = "tunesmith.daemon.worker"
# Imported when their turn comes: the first event must not wait for torch.
FETCH, PREPARE, VERIFY = ("fetch", ("fetch",)), ("prepare", ("data.prepare",)), ("verify", ("verify",))
SCORED = ("fetch", ("scores", "fetch"))  # a scorer that does not load ends the job before hours of training
ASKED = ("benchmark", ("let_go", "suites.run", "gate"))  # of a training whose recipe has public benchmarks
STAGES: dict[str, tuple[tuple[str, tuple[str, ...]], ...]] = {
    TRAIN: (
        ("fetch", ("scores", "fetch", "suites.fetch")),
        PREPARE,
        ("probe", ("planned", "train.set_up", "train.probe")),
        ("train", ("train.run",)),
        ("evaluate", ("evaluate", "gate")),
        ("export", ("train.merge", "export")),
        VERIFY,
    ),
    EXPORT: (FETCH, PREPARE, ("export", ("taken_up", "export")), VERIFY),
    MERGE: (FETCH, PREPARE, ("export", ("combine", "export")), VERIFY),
    EVALUATE: (SCORED, PREPARE, ("evaluate", ("train.set_up", "evaluate", "gate"))),
    BENCHMARK: (("fetch", ("fetch", "suites.fetch")), ("evaluate", ("suites.run", "gate"))),
}


def of(spec: JobSpec) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Those that `stages_of` names, with what does each."""
    more = (ASKED,) if spec.task == TRAIN and spec.benchmark is not None else ()
    return STAGES[spec.task] + more


def run_all(context: Context) -> None:
    context.fence.check()
    publish.remove_staged_folders(context.job)
    for left in context.job.glob("work-*"):
        if left != context.work:
            publish.remove(left)  # of an attempt that ended early, as large as the model
    for stage, modules in of(context.spec):
        context.begin(stage)
        preflight.look(context, stage)
        for module in modules:
            importlib.import_module(f"{WORKER}.{module}").run(context)
        context.end()
        processor.release_freed_memory()  # no stage needs what another has let go of
    context.fence.check()
    publish.remove(context.checkpoints)  # what has finished is never resumed
