"""Weights in the layout of AutoGPTQ, which gptqmodel writes: of which models, and what they are loaded by.

It packs eight weights of 4 bits into one number (`qweight`), with a scale and a zero point for each group of a row
(`scales`, `qzeros`), and says of each input which group it is of (`g_idx`). Sizes are `compressing`'s.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from tunesmith.recipes import compressing
from tunesmith.recipes.compressing import Scheme
from tunesmith.recipes.exports import Export, ExportContext, Planned
from tunesmith.recipes.models import headers
from tunesmith.recipes.models.facts import LINEAR, ModelFacts

TOOL = "gptqmodel"
LIBRARY_BYTES = 300 << 20  # what gptqmodel takes of a process, beyond torch and transformers
PACKED = 32  # outputs of a matrix must come in so many: gptqmodel packs no fewer at once
# What gptqmodel 7.6 has a description of, of models without experts; of another it guesses which layers there are.
KNOWN = (
    "apertus", "bloom", "cohere", "cohere2", "ernie4_5", "exaone", "exaone4", "falcon", "gemma", "gemma2",
    "gemma3_text", "glm", "glm4", "gpt_neox", "gptj", "granite", "hunyuan_v1_dense", "llama", "ministral3", "mistral",
    "olmo2", "olmo3", "opt", "phi", "phi3", "qwen2", "qwen3", "seed_oss", "smollm3", "stablelm", "starcoder2",
)  # fmt: skip
HOW_TO_LOAD = (
    "`AutoModelForCausalLM.from_pretrained('{file}')` with transformers, gptqmodel and optimum, `vllm serve {file}`, "
    "`python -m sglang.launch_server --model-path {file}`, "
    "`lmdeploy serve api_server {file} --model-format gptq`"
)


def card(key: str, title: str, blurb: str, scheme: Scheme, *, kl_limit: float, instead: str) -> Export:
    """An export that gptqmodel writes; `instead` are targets to try where it fails."""

    def write(context: ExportContext, variant: str, staged: Path) -> None:
        context.native("gptq", scheme, staged)

    def held(variant: str, model: Planned) -> int:
        return LIBRARY_BYTES - compressing.LIBRARY_BYTES + compressing.held_calibrating(model)

    return msgspec.structs.replace(
        compressing.card(key, title, blurb, scheme, kl_limit=kl_limit, instead=instead),
        write=write,
        held=held,
        how_to_load=HOW_TO_LOAD,
        says=said,
        unsuited=refusal,
        tool=TOOL,
        package="",
        apart=True,
    )


def refusal(facts: ModelFacts) -> str:
    """Why such a model cannot be written so; nothing where it can."""
    if facts.experts:
        return "it is a mixture of experts, which gptqmodel takes apart in a way that is not verified here"
    if facts.model_type not in KNOWN:
        return f"gptqmodel has no description of models of the type {facts.model_type}"
    if refused := compressing.no_group(facts):
        return refused
    outputs = {matrix.outputs for matrix in facts.matrices if matrix.part in LINEAR}
    if uneven := sorted(count for count in outputs if count % PACKED):
        return f"it has matrices with {' and '.join(map(str, uneven))} outputs, which {PACKED} does not divide"
    return ""


def said(folder: Path) -> str:
    """What the config of a written folder says of its weights."""
    match headers.config_of(folder).get("quantization_config"):
        case {"quant_method": "gptq", "bits": int(bits), "group_size": int(group)}:
            return f"AutoGPTQ's layout (quant_method gptq), {bits} bits, groups of {group}"
    return ""
