"""The two models a run compares: the base and the tuned one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from tunesmith.daemon.worker import load
from tunesmith.daemon.worker.context import Context
from tunesmith.recipes import tuners

SUBJECTS = ("base", "tuned")


@contextmanager
def subject_model(context: Context, subject: str) -> Iterator[Any]:
    """The model of `subject` in evaluation mode, computing as it did while it was trained.

    The base below an adapter is the trained model with that off. Where the base itself was trained it is loaded once
    more: two copies of the weights are less than training held with its gradients and optimizer.
    """
    import torch

    spec, tuned = context.spec, context.model
    place = tuned.device.type
    kind = load.dtype(spec.training, place)
    with ExitStack() as stack:
        if load.weights_dtype(spec, kind) != kind:
            stack.enter_context(torch.autocast(place, kind))
        if subject == "tuned":
            model = tuned
        elif tuners.cards()[spec.tuner["kind"]].adapter:
            stack.enter_context(tuned.disable_adapter())
            model = tuned
        else:
            model = load.model(context.base, place, load.weights_dtype(spec, kind))
        yield model.eval()
