"""Forecast: the memory, time and disk of a whole run, stage by stage, with a range and where each byte goes."""

from __future__ import annotations

import msgspec

from tunesmith.recipes.models.facts import ModelFacts
from tunesmith.recipes.planner import learned as learning
from tunesmith.recipes.planner import memory, stages, timing
from tunesmith.recipes.planner.learned import Learned
from tunesmith.recipes.planner.place import Place
from tunesmith.recipes.planner.rows import Rows
from tunesmith.recipes.spec import TRAIN, JobSpec

ASSUMED, COUNTED, PROBED = "assumed", "counted", "probed"  # how sure it is
# Below and above the forecast, as shares of it: what bench/forecast.py saw, and room for what it did not.
MEMORY_SPREAD = {ASSUMED: (0.25, 0.35), COUNTED: (0.1, 0.08), PROBED: (0.05, 0.03)}
TIME_SPREAD = {ASSUMED: (0.6, 1.5), COUNTED: (0.4, 0.6), PROBED: (0.12, 0.12)}
UNKNOWN_ARCHITECTURE = 0.25  # more, where its layers had to be taken for ordinary ones


class Part(msgspec.Struct, frozen=True):
    """`key` is weights, adapter, gradients, optimizer, activations, logits or runtime."""

    key: str
    bytes: int


class StageForecast(msgspec.Struct, frozen=True):
    """`host_bytes` of the worker's process, `device_bytes` of a GPU (0 on a CPU), `disk_bytes` written by it."""

    stage: str
    host_bytes: int
    device_bytes: int
    seconds: float
    disk_bytes: int


class Forecast(msgspec.Struct, frozen=True, kw_only=True):
    """`level` is assumed (nobody has looked at the data), counted (from the model and the data) or probed (two real
    steps). `parts` are those of training, where it trains. `steps` in all, `step_seconds` of a mean one, `tokens` of
    the largest window, `recomputed` layers that are checkpointed.
    """

    level: str
    device: str
    dtype: str
    parts: tuple[Part, ...]
    stages: tuple[StageForecast, ...]
    memory_spread: tuple[float, float]
    time_spread: tuple[float, float]
    tokens: int
    steps: int
    step_seconds: float
    recomputed: int
    corrected_by: int = 0  # measurements on this machine
    uncorrected_bytes: int = 0
    uncorrected_step_seconds: float = 0.0

    @property
    def host_bytes(self) -> int:
        return max(stage.host_bytes for stage in self.stages)

    @property
    def device_bytes(self) -> int:
        return max(stage.device_bytes for stage in self.stages)

    @property
    def host_high_bytes(self) -> int:
        return int(self.host_bytes * (1 + self.memory_spread[1]))

    @property
    def device_high_bytes(self) -> int:
        return int(self.device_bytes * (1 + self.memory_spread[1]))

    @property
    def bytes(self) -> int:
        """Where it trains: of the GPU, else of the process."""
        return self.device_bytes or self.host_bytes

    @property
    def range(self) -> tuple[int, int]:
        """Of `bytes`."""
        below, above = self.memory_spread
        return int(self.bytes * (1 - below)), int(self.bytes * (1 + above))

    @property
    def seconds(self) -> float:
        """The whole run."""
        return sum(stage.seconds for stage in self.stages)

    @property
    def seconds_range(self) -> tuple[float, float]:
        below, above = self.time_spread
        return self.seconds * (1 - below), self.seconds * (1 + above)

    @property
    def disk_bytes(self) -> int:
        """Most that is there at once beside what was there before."""
        return sum(stage.disk_bytes for stage in self.stages)

    def stage(self, name: str) -> StageForecast:
        return next(stage for stage in self.stages if stage.stage == name)


def forecast(spec: JobSpec, facts: ModelFacts, rows: Rows, place: Place, learned: Learned | None = None) -> Forecast:
    """What the run of `spec` on a model of `facts` over `rows` needs in `place`; well under 5 ms."""
    found = memory.parts(spec, facts, rows, place)
    correction = (learned or Learned()).of(learning.key(spec, facts, place.device, memory.dtype_of(spec, place)))
    sizes = stages.sizes(spec, facts, rows, place, found, correction.memory if correction else 1.0)
    times = timing.times(spec, facts, rows, place, found, correction.seconds if correction else 1.0)
    disks = stages.disk(spec, facts)
    level = COUNTED if rows.known else ASSUMED
    below, above = MEMORY_SPREAD[level]
    if not facts.known:
        below, above = below + UNKNOWN_ARCHITECTURE, above + UNKNOWN_ARCHITECTURE
    worst = sizes["train"] if spec.task == TRAIN else max(sizes.values())
    train_bytes = worst[1] or worst[0]
    runtime = max(0, train_bytes - found.held - found.activations - found.logits)
    shown = [(name, int(getattr(found, name))) for name in ("weights", "adapter", "gradients", "optimizer")]
    shown += [("activations", found.activations), ("logits", found.logits), ("runtime", runtime)]
    if spec.task != TRAIN:
        shown = []
    return Forecast(
        level=level,
        device=place.device,
        dtype=memory.dtype_of(spec, place),
        parts=tuple(Part(name, size) for name, size in shown if size),
        stages=tuple(
            StageForecast(stage, *sizes[stage], times.stages.get(stage, 0.0), disks.get(stage, 0)) for stage in sizes
        ),
        memory_spread=(below, above),
        time_spread=TIME_SPREAD[level],
        tokens=found.tokens,
        steps=times.steps if spec.task == TRAIN else 0,
        step_seconds=times.step_seconds,
        recomputed=found.recomputed,
        corrected_by=correction.runs if correction else 0,
        uncorrected_bytes=int(train_bytes / (correction.memory if correction else 1.0)),
        uncorrected_step_seconds=times.step_seconds / (correction.seconds if correction else 1.0),
    )


def probed(counted: Forecast, *, peak_bytes: int, step_seconds: float, steps: int, growing_bytes: int) -> Forecast:
    """`counted` with training as real steps showed it: `peak_bytes` where it trains, seconds of a mean step.

    `peak_bytes` on a CPU are resident, on a GPU what its allocator handed out at most. `growing_bytes` come to that
    later.
    """
    grown = peak_bytes + growing_bytes

    def measured(stage: StageForecast) -> StageForecast:
        if stage.stage != "train":
            return stage
        size = {"device_bytes": grown} if stage.device_bytes else {"host_bytes": grown}
        return msgspec.structs.replace(stage, seconds=step_seconds * steps, **size)

    before = counted.stage("train")
    change = grown - (before.device_bytes or before.host_bytes)
    shown = tuple(
        Part(part.key, max(0, part.bytes + change)) if part.key == "runtime" else part for part in counted.parts
    )
    return msgspec.structs.replace(
        counted,
        level=PROBED,
        parts=shown,
        stages=tuple(measured(stage) for stage in counted.stages),
        memory_spread=MEMORY_SPREAD[PROBED],
        time_spread=TIME_SPREAD[PROBED],
        steps=steps,
        step_seconds=step_seconds,
    )
