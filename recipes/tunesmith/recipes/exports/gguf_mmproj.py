"""What a vision model sees with, as a GGUF that llama.cpp loads beside the model's own: vision tower and projector."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tunesmith.recipes.exports import Export, ExportContext, Planned
from tunesmith.recipes.models import headers, safetensors
from tunesmith.recipes.models.facts import ModelFacts
from tunesmith.recipes.words import say

HEADER_BYTES = 20_000
BYTES_A_WEIGHT = 2  # float16; norms, biases and positions, which stay in float32, are few
# Those whose picture embeddings were compared with transformers' (tests/engine/test_seeing.py), each with how the names
# of the tensors begin that it sees with.
SEES_WITH = {"Gemma3ForConditionalGeneration": ("vision_tower.", "multi_modal_projector.")}


def write(context: ExportContext, variant: str, staged: Path) -> None:
    converter = context.vendor / "convert_hf_to_gguf.py"
    given = [str(context.merged), "--outfile", str(staged), "--outtype", "f16", "--mmproj"]
    context.run([sys.executable, str(converter), *given])


def size(context: ExportContext, variant: str) -> int:
    begins = SEES_WITH.get(architecture(headers.config_of(context.merged)), ())
    files = headers.weight_files(context.merged)
    found = (tensor for path in files for tensor in safetensors.read(path) if tensor.name.startswith(begins))
    return HEADER_BYTES + BYTES_A_WEIGHT * sum(tensor.numbers for tensor in found)


def architecture(config: Mapping[str, Any]) -> str:
    names = config.get("architectures")
    return str(names[0]) if isinstance(names, list) and names else ""


def planned(variant: str, model: Planned) -> int:
    return HEADER_BYTES + BYTES_A_WEIGHT * model.facts.tower_parameters


def beside(variant: str, model: Planned) -> int:
    """The language model as a GGUF, for verification to load it with, where none is exported."""
    return model.stored


def unsuited(facts: ModelFacts) -> str:
    if facts.architecture not in SEES_WITH or not facts.tower_parameters:
        known = ", ".join(sorted(SEES_WITH))
        return (
            f"{facts.architecture or facts.model_type} is none of those whose vision tower is verified here ({known})"
        )
    return ""


CARD = Export(
    key="gguf-mmproj",
    title="GGUF vision tower",
    blurb="What a vision model sees with, for llama.cpp beside its GGUF.",
    variants=("",),
    file_name=lambda variant: "mmproj-f16.gguf",
    write=write,
    size=size,
    planned=planned,
    beside=beside,
    how_to_load="`llama-mtmd-cli -m MODEL.gguf --mmproj {file} --image PICTURE` with llama.cpp",
    instead=lambda variant: say("try_merged", "Use the merged folder, which transformers loads: merged."),
    converts=True,
    unsuited=unsuited,
    needs_file=("preprocessor_config.json", "processor_config.json"),
    embedding_limit=0.02,
)
