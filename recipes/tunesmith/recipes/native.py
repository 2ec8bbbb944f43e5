"""Weights in the layouts of AutoGPTQ and AutoAWQ, which gptqmodel writes: of which models, and what they are loaded by.

Both pack eight weights of 4 bits into one number (`qweight`), with a scale and a zero point for each group of a row
(`scales`, `qzeros`); AutoGPTQ's says of each input which group it is of (`g_idx`). Sizes are `compressing`'s.
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
OUTPUTS = {"gptq": 32, "awq": 64}  # of a matrix must come in so many: gptqmodel packs, or scales, no fewer at once
# What gptqmodel 7.6 has a description of, of models without experts; of another it guesses which layers there are.
KNOWN = (
    "apertus", "bloom", "cohere", "cohere2", "ernie4_5", "exaone", "exaone4", "falcon", "gemma", "gemma2",
    "gemma3_text", "glm", "glm4", "gpt_neox", "gptj", "granite", "hunyuan_v1_dense", "llama", "ministral3", "mistral",
    "olmo2", "olmo3", "opt", "phi", "phi3", "qwen2", "qwen3", "seed_oss", "smollm3", "stablelm", "starcoder2",
)  # fmt: skip
HOW_TO_LOAD = (
    "`AutoModelForCausalLM.from_pretrained('{{file}}')` with transformers, gptqmodel{more}, `vllm serve {{file}}`, "
    "`python -m sglang.launch_server --model-path {{file}}`, "
    "`lmdeploy serve api_server {{file}} --model-format {method}`"
)
LAYOUTS = {"gptq": "AutoGPTQ", "awq": "AutoAWQ"}


def card(key: str, title: str, blurb: str, scheme: Scheme, *, method: str, kl_limit: float, instead: str) -> Export:
    """An export that gptqmodel writes by `method`; `instead` are targets to try where it fails."""

    def write(context: ExportContext, variant: str, staged: Path) -> None:
        context.native(method, scheme, staged)

    def held(variant: str, model: Planned) -> int:
        return LIBRARY_BYTES - compressing.LIBRARY_BYTES + compressing.held_calibrating(model)

    return msgspec.structs.replace(
        compressing.card(key, title, blurb, scheme, kl_limit=kl_limit, instead=instead),
        write=write,
        held=held,
        how_to_load=HOW_TO_LOAD.format(method=method, more=" and optimum" if method == "gptq" else ""),
        says=said,
        unsuited=lambda facts: refusal(facts, method),
        tool=TOOL,
        package="",
        apart=True,
    )


def refusal(facts: ModelFacts, method: str) -> str:
    """Why such a model cannot be written so; nothing where it can."""
    if facts.experts:
        return "it is a mixture of experts, which gptqmodel takes apart in a way that is not verified here"
    if facts.model_type not in KNOWN:
        return f"gptqmodel has no description of models of the type {facts.model_type}"
    if not compressing.group_for(facts):
        odd = sorted(row for row in compressing.row_lengths(facts) if row % compressing.GROUPS[-1])
        groups = ", ".join(map(str, compressing.GROUPS))
        return f"it has rows of {' and '.join(map(str, odd))} weights, which groups of {groups} do not divide"
    outputs = {matrix.outputs for matrix in facts.matrices if matrix.part in LINEAR}
    if uneven := sorted(count for count in outputs if count % OUTPUTS[method]):
        return f"it has matrices with {' and '.join(map(str, uneven))} outputs, which {OUTPUTS[method]} do not divide"
    return ""


def said(folder: Path) -> str:
    """What the config of a written folder says of its weights."""
    match headers.config_of(folder).get("quantization_config"):
        case {"quant_method": "gptq" | "awq" as method, "bits": int(bits), "group_size": int(group)}:
            return f"{LAYOUTS[method]}'s layout (quant_method {method}), {bits} bits, groups of {group}"
    return ""
