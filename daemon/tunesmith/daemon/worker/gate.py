"""The recipe's gate, after evaluation, or after the public benchmarks that it names: a run that it refuses ends here,
and what was trained is kept all the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tunesmith.daemon.worker import export
from tunesmith.daemon.worker.context import Context
from tunesmith.daemon.worker.train import merge
from tunesmith.recipes import gate, tuners
from tunesmith.recipes.errors import EvaluationError
from tunesmith.recipes.spec import TRAIN
from tunesmith.recipes.words import say


def run(context: Context) -> None:
    """Raises EvaluationError for measures that meet `fail_if`, or that do not say whether they do."""
    text = context.spec.evaluation.fail_if
    if text is None or gate.waits(context.spec) != bool(context.benchmarks):
        return
    found = gate.parse(text)
    with keeping(context):
        met = found.fails(context.measures)
    told = f"{text} ({figures(context, found)})"
    if not met:
        context.notice("info", say("gate_held", "The gate held: it is not so that {gate}.", gate=told))
        return
    context.refused = told
    raise EvaluationError(
        f"The gate of the recipe refuses this model: {told}.{kept(context)}",
        "Train otherwise, or change evaluation.fail_if, and run the recipe again; `tunesmith resume` would only "
        "evaluate the same model again.",
        "gate_failed",
    )


@contextmanager
def keeping(context: Context) -> Iterator[None]:
    """An evaluation that fails in here costs nothing that was trained: that is kept first, and the error says where."""
    try:
        yield
    except EvaluationError as error:
        raise EvaluationError(f"{error.message}.{kept(context)}", error.hint, error.code) from error


def figures(context: Context, found: gate.Gate) -> str:
    """Each measure of the gate with its value."""
    return ", ".join(f"{name} is {context.measures[name]:.4g}" for name in found.names())


def kept(context: Context) -> str:
    """Publish what was trained, alone, and say where; nothing of a run that was only evaluated again."""
    if context.spec.task != TRAIN:
        return " The run that was evaluated is as it was."
    if context.benchmarks:
        export.describe(context)
        return f" What was exported is kept in {context.artifacts}."
    if tuners.cards()[context.spec.tuner["kind"]].adapter:
        target = "adapter"
    else:
        target = "merged"
        merge.keep(context, context.model)
    export.write(context, (target,))
    path, number = context.artifacts / target, context.job.name
    return (
        f" Nothing else was exported. What was trained is kept in {path}: `tunesmith chat {number}` talks to it, "
        f"`tunesmith export {number} --to gguf:q8_0` exports it all the same."
    )
