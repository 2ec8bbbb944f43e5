"""GGUF for llama.cpp, through llama.cpp's own converter of the library's version."""

from __future__ import annotations

import sys
from pathlib import Path

from tunesmith.recipes.exports import Export, ExportContext, weight_counts

# Bytes a weight. Q8_0 stores 32 of them in 34 bytes: one each and a 16-bit scale.
BYTES_A_WEIGHT = {"f16": 2.0, "q8_0": 34 / 32}
HEADER_BYTES = 2_000_000  # vocabulary and merges; SmolLM2's 49 thousand tokens take 1.7 MB


def command(vendor: Path, model: Path, variant: str, staged: Path) -> list[str]:
    """What converts the folder `model` to the file `staged`."""
    converter = vendor / "convert_hf_to_gguf.py"
    return [sys.executable, str(converter), str(model), "--outfile", str(staged), "--outtype", variant]


def write(context: ExportContext, variant: str, staged: Path) -> None:
    context.run(command(context.vendor, context.merged, variant, staged))


def size(context: ExportContext, variant: str) -> int:
    return HEADER_BYTES + round(weight_counts(context.merged) * BYTES_A_WEIGHT[variant])


CARD = Export(
    key="gguf",
    title="GGUF",
    blurb="One file for llama.cpp, Ollama and LM Studio.",
    variants=("f16", "q8_0"),
    file_name=lambda variant: f"model-{variant}.gguf",
    write=write,
    size=size,
    # Measured on SmolLM2-135M: f16 4.5e-6, Q8_0 3e-3; the limits are the project's bars.
    kl_limits={"f16": 1e-4, "q8_0": 0.02},
)
