"""Sample answers while training: a few held-out questions, about four times a run, which change no bit of it.

What it may take of the time is settled before: each sample has its share, and is cut there; what it took in spite of
that is taken off the later ones. Where not even a short answer fits into it, none is taken.
"""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Iterator

from tunesmith.daemon.api import events as e
from tunesmith.daemon.worker import load
from tunesmith.daemon.worker.context import Context
from tunesmith.daemon.worker.evaluate import answers
from tunesmith.daemon.worker.grade import grade
from tunesmith.recipes.data.held_out import HeldOutRow

TIMES = 4  # a run: what the model says changes most in its first quarter, so often shows that
SHARE = 0.03  # of training's time that all samples together may take
MOST_TOKENS = 48  # of an answer: two or three sentences
LEAST_S = 0.15  # a sample with less time would end within its first words
MOST_S = 20.0  # of one sample, however long the run: it has its answers by then
QUESTION_CHARACTERS, ANSWER_CHARACTERS = 400, 800


def due(step: int, total: int) -> bool:
    """Whether there is a sample after `step`: at even distances, none at the end, where everything is evaluated."""
    return step < total and any(step == round(total * number / (TIMES + 1)) for number in range(1, TIMES + 1))


def allowance(step_seconds: float, total: int) -> float:
    """Seconds that one sample may take."""
    return min(MOST_S, step_seconds * total * SHARE / TIMES)


class Sampler:
    """Takes samples of `context`'s model; `taken_s` is what they took of the time."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.rows: list[HeldOutRow] = []
        self.taken_s = 0.0

    def look(self, step: int, total: int, step_seconds: float) -> float:
        """Take a sample where one is due and there is time for it; returns the seconds that went."""
        spec = self.context.spec
        if self.context.keeping or spec.training.compile or not due(step, total):
            return 0.0  # torch.compile would compile for each length of an answer
        rows = self.context.prepared.questions[: spec.evaluation.samples]
        each_s = allowance(step_seconds, total)
        most_s = min(each_s, TIMES * each_s - self.taken_s)
        if not rows or most_s < LEAST_S:
            return 0.0
        began = time.monotonic()
        self.take(step, rows, most_s)
        took = time.monotonic() - began
        self.taken_s += took
        return took

    def take(self, step: int, rows: list[HeldOutRow], most_s: float) -> None:
        with untouched(self.context):
            given = answers(self.context, self.context.model, rows, most_tokens=MOST_TOKENS, most_s=most_s)
        for number, (row, (text, stopped)) in enumerate(zip(rows, given, strict=True)):
            self.context.emit(
                e.Sampled(
                    time=time.time(), step=step, row=number, question=row.question[:QUESTION_CHARACTERS],
                    answer=text[:ANSWER_CHARACTERS], expected=row.answer[:QUESTION_CHARACTERS],
                    correct=grade(text, row), stopped=stopped,
                )
            )  # fmt: skip


@contextlib.contextmanager
def untouched(context: Context) -> Iterator[None]:
    """The model evaluates within, computing as it trains; after it every module, and every random number to come, is
    as it was."""
    import numpy as np
    import torch

    model = context.model
    modes = [(module, module.training) for module in model.modules()]
    place, spec = model.device.type, context.spec
    kind = load.dtype(spec.training, place)
    devices = [model.device] if place == "cuda" else []
    drawn, numbers = random.getstate(), np.random.get_state()  # greedy answers draw none; a model's own code might
    with contextlib.ExitStack() as stack:
        stack.enter_context(torch.random.fork_rng(devices))
        if load.weights_dtype(spec, kind) != kind:
            stack.enter_context(torch.autocast(place, kind))
        model.eval()
        try:
            yield
        finally:
            for module, training in modes:
                module.training = training
            random.setstate(drawn)
            np.random.set_state(numbers)
