"""Weights compressed by llm-compressor: which layers, in groups of how many weights, and how large that gets.

The format is compressed-tensors, which transformers, vLLM and SGLang read.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from tunesmith.recipes.exports import TRANSFORMERS, Export, ExportContext, Planned
from tunesmith.recipes.models import headers, safetensors
from tunesmith.recipes.models.facts import LINEAR, ModelFacts
from tunesmith.recipes.models.safetensors import Placed
from tunesmith.recipes.words import say

HEAD = ("lm_head", "embed_out", "output")  # linear layers that are left as they are, by the ends of their names
EMBEDDINGS = ("embed_tokens", "embed_in", "wte", "wpe", "word_embeddings")
GROUPS = (128, 64, 32)  # weights of a row that share a scale, as kernels have them
SCALE_BYTES = 2
LIBRARY_BYTES = 100 << 20  # what llm-compressor takes of a process, beyond torch and transformers; measured
TOOL = "llm-compressor"
CONV1D = ("gpt2", "openai-gpt")  # whose matrices are no linear layers by name
CALIBRATION_TOKENS = 16_384  # 32 contexts of 512: with the starter's 7,586 the divergence of 4 bits falls by two fifths
KEPT_A_TOKEN = 6  # rows of hidden_size while a layer is looked at: its inputs and outputs, and those of its parts
HOW_TO_LOAD = (
    "`AutoModelForCausalLM.from_pretrained('{file}')` with transformers and compressed-tensors, `vllm serve {file}`, "
    "`python -m sglang.launch_server --model-path {file}`, LMDeploy for the models whose compressed-tensors it reads"
)


class Scheme(msgspec.Struct, frozen=True):
    """How weights are kept: `bits` each, a scale for groups of a row (`grouped`) or for whole rows, and with `zeros` a
    zero point of so many bits beside each scale; none in compressed-tensors: as llm-compressor packs them transformers
    does not load them (5.23 with compressed-tensors 0.19).

    `calibrated`: rows go through the model to find the best values.
    """

    bits: int
    grouped: bool = False
    calibrated: bool = False
    zeros: bool = False

    def bytes_a_weight(self, group: int = 0) -> float:
        """`group` weights share a scale, of whole rows where it is 0: too few of those to count."""
        shared = SCALE_BYTES + (self.bits / 8 if self.zeros else 0.0)
        return self.bits / 8 + (shared / group if group else 0.0)


def quantized(folder: Path) -> list[Placed]:
    """The matrices of linear layers in the model folder."""
    placed = [tensor for path in headers.weight_files(folder) for tensor in safetensors.placed(path)]
    return [tensor for tensor in placed if len(tensor.shape) == 2 and not left_as_it_is(tensor.name)]


def left_as_it_is(name: str) -> bool:
    layer = name.rpartition(".")[0].rpartition(".")[2]
    return layer in HEAD or layer in EMBEDDINGS


def group_of(rows: Iterable[int]) -> int:
    """The largest group that divides all these rows; 0 where there is none."""
    lengths = set(rows)
    return next((group for group in GROUPS if all(length % group == 0 for length in lengths)), 0)


def group_in(folder: Path) -> int:
    return group_of(tensor.shape[1] for tensor in quantized(folder))


def group_for(facts: ModelFacts) -> int:
    return group_of(row_lengths(facts))


def row_lengths(facts: ModelFacts) -> set[int]:
    return {matrix.inputs for matrix in facts.matrices if matrix.part in LINEAR}


def why_this_group(folder: Path) -> str:
    """What is said of the group, in a sentence."""
    rows = {tensor.shape[1] for tensor in quantized(folder)}
    group = group_of(rows)
    if group == GROUPS[0]:
        return say("group_usual", "{group} weights of a row share a scale.", group=group)
    odd = ", ".join(str(row) for row in sorted(row for row in rows if row % GROUPS[0]))
    english = "{group} weights of a row share a scale, as groups of {usual} do not divide rows of {rows}."
    return say("group_smaller", english, group=group, usual=GROUPS[0], rows=odd)


def size(context: ExportContext, bytes_a_weight: float) -> int:
    """Bytes of the folder, from the headers of the merged model."""
    chosen = quantized(context.merged)
    stored = sum(tensor.bytes for path in headers.weight_files(context.merged) for tensor in safetensors.placed(path))
    numbers = sum(tensor.shape[0] * tensor.shape[1] for tensor in chosen)
    return stored - sum(tensor.bytes for tensor in chosen) + round(numbers * bytes_a_weight)


def planned(model: Planned, bytes_a_weight: float) -> int:
    """The same from a model's facts."""
    linear = model.facts.linear_parameters
    return int((model.facts.parameters - linear) * model.stored_width + linear * bytes_a_weight)


def held_calibrating(model: Planned) -> int:
    """Bytes of the process that quantizes with rows: the model as it is computed, squares of the inputs of a layer's
    matrices, and what it keeps of each token.
    """
    facts = model.facts
    float16 = facts.stored is not None and "F16" in facts.stored.dtypes  # which it computes in float32
    widest = max((matrix.inputs for matrix in facts.matrices if matrix.part in LINEAR), default=facts.hidden_size)
    squares = 4 * (3 * widest**2 + 4 * facts.hidden_size**2)
    kept = CALIBRATION_TOKENS * facts.hidden_size * 4 * KEPT_A_TOKEN
    return LIBRARY_BYTES + (4 * facts.parameters if float16 else model.stored) + squares + kept


def card(key: str, title: str, blurb: str, scheme: Scheme, *, kl_limit: float, instead: str) -> Export:
    """An export that llm-compressor writes by its method `key`; `instead` are targets to try where it fails."""

    def write(context: ExportContext, variant: str, staged: Path) -> None:
        context.oneshot(key, scheme, staged)

    def bytes_written(context: ExportContext, variant: str) -> int:
        return size(context, scheme.bytes_a_weight(group_in(context.merged) if scheme.grouped else 0))

    def bytes_planned(variant: str, model: Planned) -> int:
        return planned(model, scheme.bytes_a_weight(group_for(model.facts) if scheme.grouped else 0))

    def held(variant: str, model: Planned) -> int:
        return held_calibrating(model) if scheme.calibrated else LIBRARY_BYTES + bytes_planned(variant, model)

    return Export(
        key=key,
        title=title,
        blurb=blurb,
        variants=("",),
        file_name=lambda variant: f"model-{key}",
        write=write,
        size=bytes_written,
        planned=bytes_planned,
        held=held,
        how_to_load=HOW_TO_LOAD,
        says=said,
        unsuited=lambda facts: refusal(facts, scheme),
        tool=TOOL,
        kl_limits={"": kl_limit},
        instead=lambda variant: say("try_any", "Export one of these: {targets}.", targets=instead),
        runtime=TRANSFORMERS,
        package="compressed_tensors",
    )


def refusal(facts: ModelFacts, scheme: Scheme) -> str:
    """Why such a model cannot be written so; nothing where it can."""
    if facts.experts:
        return "it is a mixture of experts, whose experts llm-compressor takes apart in a way that is not verified here"
    if facts.model_type in CONV1D:
        return f"the matrices of {facts.model_type} are of a kind that llm-compressor leaves as they are"
    return no_group(facts) if scheme.grouped else ""


def no_group(facts: ModelFacts) -> str:
    """Which rows no group of GROUPS divides; nothing where one does."""
    if group_for(facts):
        return ""
    odd = " and ".join(str(row) for row in sorted(row for row in row_lengths(facts) if row % GROUPS[-1]))
    return f"it has rows of {odd} weights, which groups of {', '.join(map(str, GROUPS))} do not divide"


def said(folder: Path) -> str:
    """What the config of a written folder says of its weights."""
    match headers.config_of(folder).get("quantization_config"):
        case {"format": str(layout), "config_groups": {"group_0": {"weights": {"num_bits": int(bits)} as weights}}}:
            group = weights.get("group_size")
            shared = f"groups of {group}" if group else "a scale a row"
            return f"compressed-tensors ({layout}), {bits} bits, {shared}"
    return ""
