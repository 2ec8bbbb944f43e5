"""Learned: how measurements on this machine differed from their forecasts, so that the next forecast is right."""

from __future__ import annotations

import msgspec

from tunesmith.recipes.models.facts import ModelFacts
from tunesmith.recipes.spec import JobSpec

WEIGHT = 0.5  # of the newest measurement against all before it
MEMORY_LIMITS = (0.5, 2.0)  # a ratio outside of them is no correction but another thing than was forecast
TIME_LIMITS = (0.1, 10.0)


class Correction(msgspec.Struct, frozen=True):
    """`memory` and `seconds` are measured over forecast, from `runs` measurements; `memory_error` is the largest by
    which a corrected forecast was still off, as a share.
    """

    memory: float = 1.0
    seconds: float = 1.0
    runs: int = 0
    memory_error: float = 0.0


class Learned(msgspec.Struct, frozen=True):
    """Corrections by `key`."""

    corrections: dict[str, Correction] = {}

    def of(self, key: str) -> Correction | None:
        return self.corrections.get(key)

    def with_measured(self, key: str, *, memory: float | None = None, seconds: float | None = None) -> Learned:
        """After one more measurement; `memory` and `seconds` are measured over the uncorrected forecast."""
        old = self.corrections.get(key, Correction())
        memory = _within(memory, MEMORY_LIMITS)
        seconds = _within(seconds, TIME_LIMITS)
        new = Correction(
            memory=_moved(old.memory, memory, old.runs),
            seconds=_moved(old.seconds, seconds, old.runs),
            runs=old.runs + 1,
            memory_error=max(old.memory_error if old.runs else 0.0, abs((memory or old.memory) / old.memory - 1)),
        )
        return Learned({**self.corrections, key: new})


def key(spec: JobSpec, facts: ModelFacts, device: str, dtype: str) -> str:
    """What measurements carry over between: the device, the family, how it is tuned and stored, and how it computes."""
    training = spec.training
    ways = "packed" if training.packing else "padded"
    return "/".join((
        device, facts.model_type, spec.method["kind"], spec.tuner["kind"], spec.quantization, dtype, ways,
        "fused" if training.fused else "plain",
    ))  # fmt: skip


def _within(ratio: float | None, limits: tuple[float, float]) -> float | None:
    return ratio if ratio is not None and limits[0] <= ratio <= limits[1] else None


def _moved(old: float, new: float | None, runs: int) -> float:
    if new is None:
        return old
    return new if not runs else old + WEIGHT * (new - old)


class Taught(msgspec.Struct, frozen=True):
    """A key in words, with what was learned for it."""

    what: str
    correction: Correction


def taught(learned: Learned) -> list[Taught]:
    """For people: most runs first."""
    found = sorted(learned.corrections.items(), key=lambda item: (-item[1].runs, item[0]))
    return [Taught(words(key), correction) for key, correction in found]


def words(key: str) -> str:
    """`cpu/llama/sft/lora/none/float32/packed/fused` -> `llama, sft lora in float32 on cpu`."""
    device, family, method, tuner, quantization, dtype, *ways = key.split("/")
    base = "" if quantization == "none" else f" on {quantization}"
    odd = [way for way in ways if way in ("padded", "plain")]
    return f"{family}, {method} {tuner}{base} in {dtype} on {device}" + "".join(f", {way}" for way in odd)
