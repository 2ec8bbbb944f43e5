"""GGUF for llama.cpp, through llama.cpp's own converter of the library's version."""

from __future__ import annotations

import sys
from pathlib import Path

from tunesmith.recipes.exports import Export, ExportContext


def write(context: ExportContext, variant: str, staged: Path) -> None:
    converter = context.vendor / "convert_hf_to_gguf.py"
    context.run(
        [sys.executable, str(converter), str(context.merged), "--outfile", str(staged), "--outtype", variant]
    )


CARD = Export(
    key="gguf",
    title="GGUF",
    blurb="One file for llama.cpp, Ollama and LM Studio.",
    variants=("f16", "q8_0"),
    file_name=lambda variant: f"model-{variant}.gguf",
    write=write,
    # f16 measured 3e-6 and Q8_0 below 0.02 on SmolLM2-135M (RECIPES.md, PRODUCT.md); the bars of the project.
    kl_limits={"f16": 1e-4, "q8_0": 0.02},
)
