"""AWQ: linear layers in 4 bits, after scaling what the run's rows show to matter; a folder in compressed-tensors."""

from __future__ import annotations

from pathlib import Path

from tunesmith.recipes import compressing
from tunesmith.recipes.compressing import Scheme
from tunesmith.recipes.exports import TRANSFORMERS, Export, ExportContext, Planned
from tunesmith.recipes.models.facts import ModelFacts
from tunesmith.recipes.words import say

SCHEME = Scheme(bits=4, grouped=True, calibrated=True)
KL_LIMIT = 0.5  # the tuned starter came to 0.36 (docs/exports.md): a small model, whose divergences are large


def write(context: ExportContext, variant: str, staged: Path) -> None:
    context.oneshot("awq", SCHEME, staged)


def size(context: ExportContext, variant: str) -> int:
    return compressing.size(context, SCHEME.bytes_a_weight(compressing.group_in(context.merged)))


def planned(variant: str, model: Planned) -> int:
    return compressing.planned(model, SCHEME.bytes_a_weight(compressing.group_for(model.facts)))


def unsuited(facts: ModelFacts) -> str:
    return compressing.refusal(facts, SCHEME)


CARD = Export(
    key="awq",
    title="AWQ",
    blurb="A folder in 4 bits for vLLM, SGLang and transformers; scaled by what the run's rows need most.",
    variants=("",),
    file_name=lambda variant: "model-awq",
    write=write,
    size=size,
    planned=planned,
    held=lambda variant, model: compressing.held_calibrating(model),
    how_to_load=compressing.HOW_TO_LOAD,
    says=compressing.said,
    unsuited=unsuited,
    tool=compressing.TOOL,
    kl_limits={"": KL_LIMIT},
    instead=lambda variant: say("try_any", "Export one of these: {targets}.", targets="gptq, fp8, gguf:q5_k_m"),
    runtime=TRANSFORMERS,
    package="compressed_tensors",
)
