"""FP8: linear layers in 8-bit floats, and what goes into them while it computes. No rows needed; compressed-tensors."""

from __future__ import annotations

from pathlib import Path

from tunesmith.recipes import compressing
from tunesmith.recipes.compressing import Scheme
from tunesmith.recipes.exports import TRANSFORMERS, Export, ExportContext, Planned
from tunesmith.recipes.models.facts import ModelFacts
from tunesmith.recipes.words import say

SCHEME = Scheme(bits=8)
KL_LIMIT = 0.1  # the tuned starter came to 0.032 (docs/exports.md): a small model, whose divergences are large


def write(context: ExportContext, variant: str, staged: Path) -> None:
    context.oneshot("fp8", SCHEME, staged)


def size(context: ExportContext, variant: str) -> int:
    return compressing.size(context, SCHEME.bytes_a_weight())


def planned(variant: str, model: Planned) -> int:
    return compressing.planned(model, SCHEME.bytes_a_weight())


def unsuited(facts: ModelFacts) -> str:
    return compressing.refusal(facts, SCHEME)


CARD = Export(
    key="fp8",
    title="FP8",
    blurb="A folder in 8-bit floats for vLLM, SGLang and transformers; needs no rows.",
    variants=("",),
    file_name=lambda variant: "model-fp8",
    write=write,
    size=size,
    planned=planned,
    held=lambda variant, model: compressing.LIBRARY_BYTES + planned(variant, model),
    how_to_load=compressing.HOW_TO_LOAD,
    says=compressing.said,
    unsuited=unsuited,
    tool=compressing.TOOL,
    kl_limits={"": KL_LIMIT},
    instead=lambda variant: say("try_any", "Export one of these: {targets}.", targets="merged, gguf:q8_0"),
    runtime=TRANSFORMERS,
    package="compressed_tensors",
)
