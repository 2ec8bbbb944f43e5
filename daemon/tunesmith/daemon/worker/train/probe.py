"""The probe: real steps on the worst batch and on a usual one, before an hour is spent; they change no weight.

Memory and time of the run are then forecast from what was measured. The steps are taken with a learning rate of 0 and
an optimizer of their own, which is thrown away.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np

from tunesmith.daemon.api import events as e
from tunesmith.daemon.worker import processor
from tunesmith.daemon.worker.context import Context
from tunesmith.daemon.worker.data.feed import WINDOW, Feed
from tunesmith.daemon.worker.packing.windows import Step
from tunesmith.daemon.worker.train import checkpoint, memory
from tunesmith.daemon.worker.train.core import Core
from tunesmith.daemon.worker.train.run import let_go
from tunesmith.recipes import planner
from tunesmith.recipes.planner import memory as planned
from tunesmith.recipes.planner import stages
from tunesmith.recipes.planner.computed import filled_rows
from tunesmith.recipes.planner.kernels import bytes_of_a_number

LEAST_STEPS = 12  # of a run that is probed: a shorter one shows by itself
LOOKED_AT = 4000  # batches
CLOSELY = 40  # of those, as the core computes them: of the most tokens, and of the longest rows
SPREAD = 200  # and of all, for the sizes of their windows

AROUND = 0.05  # of a step's time is spent around it: reading, reporting, saving (measured: bench/forecast.py)

Batch = list[tuple[int, int]]


class Chosen(NamedTuple):
    """`worst` takes most memory, `usual` has the mean number of tokens; `tokens` are those of each batch seen, and
    `unmet` how many numbers of rows products of other batches have that those of these two have not.
    """

    worst: Batch
    usual: Batch
    tokens: np.ndarray[Any, Any]
    unmet: int


def run(context: Context) -> None:
    plan, set_up, core = context.plan, context.set_up, context.core
    feed, epochs = context.prepared.feed, context.spec.training.epochs
    total = feed.steps(epochs)
    if plan is None or total < LEAST_STEPS or checkpoint.exist(context):
        return  # what goes on from a checkpoint has been seen to hold
    parts = planned.parts(context.spec, plan.facts, plan.rows, plan.place)
    batches = choose(feed, core, parts.gradients * parts.tokens / parts.activations)
    processor.release_freed_memory()
    processor.keep_freed_memory()
    context.forget_peak()
    forget_device_peak(set_up.device)
    trainer = set_up.trainer(context, 0, (), folder="probe")
    steps = [core.step([feed.sequence(*row) for row in batch]) for batch in (batches.worst, batches.usual)]
    try:
        # The first time a step is computed memory is fetched and kernels are made: the second time counts.
        twice = [step for step in steps for _ in range(2)]
        seconds = [timed(context, trainer, step, number, len(twice)) for number, step in enumerate(twice)][1::2]
        peak = memory.peak(set_up.device)
    finally:
        let_go(trainer)
        context.model.zero_grad(set_to_none=True)
    work = [core.flops(step) for step in steps]
    mean = seconds_of_mean_step(seconds, work, [step.tokens for step in steps], float(batches.tokens.mean()))
    kernels = batches.unmet * bytes_of_a_number(plan.facts) if parts.kernels else 0
    growing = stages.growing(plan.place, plan.facts, parts, kernels=kernels, peak_bytes=peak)
    forecast = planner.probed(plan.forecast, peak_bytes=peak, step_seconds=mean, steps=total, growing_bytes=growing)
    context.plan = msgspec.structs.replace(plan, forecast=forecast)
    core.keep_within(forecast.stage("train").host_bytes, plan.facts.layers - parts.recomputed)
    context.emit(e.Forecasted(time=time.time(), forecast=forecast))


def choose(feed: Feed, core: Core, gathered: float) -> Chosen:
    """From the first epoch, as far as it is prepared.

    `gathered`: tokens whose activations take as much as all gradients. These lie beside every window but a step's
    first, so where every weight is trained a step of two windows can take more than one of a larger window alone.
    """
    # While more is being prepared, those that are surely there.
    ready = max(1, min(LOOKED_AT, WINDOW // feed.batch_size)) if feed.streaming else LOOKED_AT
    batches = list(itertools.islice(feed.batches(0), ready))
    known = [stream.store.lengths(0, stream.store.available) for stream in feed.streams]
    lengths = [np.array([known[stream][row] for stream, row in batch]) for batch in batches]
    tokens = np.array([sizes.sum() for sizes in lengths])
    longest = np.array([sizes.max() for sizes in lengths])
    candidates = {*np.argsort(-tokens)[:CLOSELY].tolist(), *np.argsort(-longest)[:CLOSELY].tolist()}
    usual = int(np.argmin(np.abs(tokens - tokens.mean())))
    spread = range(0, len(batches), -(-len(batches) // SPREAD))
    windows = {place: core.sizes(lengths[place].tolist()) for place in {*candidates, *spread, usual}}
    worst = max(sorted(candidates), key=lambda place: (most(windows[place], gathered), tokens[place]))
    numbers = {place: set(map(filled_rows, sizes)) for place, sizes in windows.items()}
    unmet = set().union(*numbers.values()) - numbers[worst] - numbers[usual]
    return Chosen(batches[worst], batches[usual], tokens, len(unmet))


def most(sizes: Sequence[int], gathered: float) -> float:
    """Tokens in memory at once in a step of windows of `sizes`, gradients reckoned as tokens."""
    return max(size + (gathered if number else 0.0) for number, size in enumerate(sizes))


def timed(context: Context, trainer: Any, step: Step, number: int, total: int) -> float:
    """Seconds of one step: forward, backward, the gradient's norm and the optimizer, which moves nothing."""
    import torch

    context.progress(number, total, "steps")
    began = time.perf_counter()
    model = trainer.model
    if number == 0:
        for group in trainer.create_optimizer().param_groups:
            group["lr"] = 0.0
    trainer.training_step(model, step)
    torch.nn.utils.clip_grad_norm_([p for p in model.parameters() if p.requires_grad], trainer.args.max_grad_norm)
    trainer.optimizer.step()
    model.zero_grad()
    if model.device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - began


def seconds_of_mean_step(
    seconds: Sequence[float], work: Sequence[float], tokens: Sequence[int], mean_tokens: float
) -> float:
    """Of a step of `mean_tokens`, from steps of `tokens` tokens: a part for each step, another for its work.

    Where the steps differ little in their work, all of the time is taken to go with it.
    """
    large, usual = seconds
    a_token = usual / max(1, tokens[1])
    if work[0] > 1.2 * work[1] and large > usual:
        slope = (large - usual) / (tokens[0] - tokens[1]) if tokens[0] > tokens[1] else a_token
        a_token = min(a_token, slope)
    return max(0.0, usual + a_token * (mean_tokens - tokens[1])) * (1 + AROUND)


def forget_device_peak(device: str) -> None:
    if device == "cuda":
        import torch

        torch.cuda.reset_peak_memory_stats()
