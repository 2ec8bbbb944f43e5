"""Timing: how long the stages of a run take, from its floating-point operations and what this machine does of them."""

from __future__ import annotations

import math

import msgspec

from tunesmith.recipes import exports, methods, suites
from tunesmith.recipes.models.facts import ModelFacts
from tunesmith.recipes.planner import memory
from tunesmith.recipes.planner.memory import Parts
from tunesmith.recipes.planner.place import Place
from tunesmith.recipes.planner.rows import Rows
from tunesmith.recipes.spec import BENCHMARK, BenchmarkSpec, JobSpec

# Share of the matrix-product limit that a training step reaches (docs/speed.md), by device.
REACHED = {"cpu": 0.5, "mps": 0.35, "cuda": 0.4}
# Floating-point operations a second where nobody measured any: two cores of a current processor, a small GPU.
ASSUMED_FLOPS = {"cpu": 1.5e11, "mps": 3e12, "cuda": 2e13}
SEEN_PATCHES = 4096  # of a picture that Gemma 3 looks at
STARTING_S = 10.0  # a worker's imports and a small model's loading
OWN_QUESTIONS, OWN_READ, OWN_WRITTEN = 100, 100, 50  # of a file of benchmark questions that nobody has looked into


class Times(msgspec.Struct, frozen=True):
    """Seconds by stage, steps in all and seconds of a mean step."""

    stages: dict[str, float]
    steps: int
    step_seconds: float


def token_flops(spec: JobSpec, facts: ModelFacts, mean: float) -> float:
    """Of training one token: forward and backward of what it meets; frozen weights have no gradient of their own."""
    active = facts.active_parameters - facts.vocabulary * facts.hidden_size * (1 if facts.tied_embeddings else 2)
    passes = 6.0 if memory.trained_parameters(spec, facts) == facts.parameters else 4.0
    attended = 2.0 * facts.layers * facts.heads * facts.head_dim * mean * 3.0
    return passes * active + attended


def head_flops(spec: JobSpec, facts: ModelFacts) -> float:
    """Of one label."""
    passes = 6.0 if memory.trained_parameters(spec, facts) == facts.parameters else 4.0
    return passes * facts.vocabulary * facts.hidden_size


def steps(spec: JobSpec, rows: Rows) -> int:
    at_once = spec.training.batch_size * spec.training.gradient_accumulation
    return spec.training.epochs * max(1, math.ceil(rows.rows / at_once))


def benchmark_tokens(asked: BenchmarkSpec) -> tuple[int, int]:
    """Tokens that are read and written for all of its suites, by each model that is asked."""
    read = written = 0
    for text in asked.suites:
        count = suites.asked(text, asked.tool, asked.limit)
        if count is None:
            count = min(OWN_QUESTIONS, asked.limit or OWN_QUESTIONS)
            read, written = read + count * OWN_READ, written + count * OWN_WRITTEN
        else:
            way = suites.cards()[text].tools[suites.check(text, asked.tool)]
            read, written = read + count * way.read, written + count * way.written
    models = 2 if asked.base else 1
    return read * models, written * models


def times(spec: JobSpec, facts: ModelFacts, rows: Rows, place: Place, parts: Parts, correction: float) -> Times:
    dtype = memory.dtype_of(spec, place)
    peak = place.flops.get(dtype) or ASSUMED_FLOPS.get(place.device, 1e12)
    rate = peak * REACHED.get(place.device, 0.3)
    count = steps(spec, rows)
    mean = min(rows.mean, memory.longest(spec, rows))
    tokens = mean * rows.rows * spec.training.epochs
    work = tokens * (token_flops(spec, facts, mean) + rows.trained_share * head_flops(spec, facts))
    work *= 1 + parts.recomputed / max(1, facts.layers) / 3
    method = methods.cards()[spec.method["kind"]]
    work *= method.sequences * (4 / 3 if method.reference else 1)  # the reference is computed forward only
    training = work / rate * correction
    scored = rows.held_out * mean * 2 * (2.0 * facts.active_parameters) / rate
    answered = 2 * min(rows.held_out, spec.evaluation.answers) * min(rows.answer, spec.evaluation.max_new_tokens)
    asked = answered * facts.active_parameters * 4 / (place.memory_bandwidth or 1e10) / 4
    patches = SEEN_PATCHES if any(exports.find(target)[0].sees for target in spec.exports) else 0
    on_cpu = place.flops.get("float32") if place.device == "cpu" else None  # where exports are always verified
    seen = 2 * 2.0 * facts.tower_parameters * patches / (on_cpu or ASSUMED_FLOPS["cpu"])  # by both that are compared
    to_read, to_write = benchmark_tokens(spec.benchmark) if spec.benchmark is not None else (0, 0)
    benchmark = to_read * 2.0 * facts.active_parameters / rate
    benchmark += to_write * facts.active_parameters * 4 / (place.memory_bandwidth or 1e10) / 4  # as `asked`
    copied = facts.parameters * 4 * (2 + len(spec.exports)) / (place.disk_write or 5e8)
    return Times(
        stages={
            "prepare": STARTING_S,
            "train": training,
            "evaluate": scored + asked if spec.task != BENCHMARK else benchmark,
            "export": copied,
            "verify": asked + seen,
            BENCHMARK: benchmark,
        },
        steps=count,
        step_seconds=training / count,
    )
