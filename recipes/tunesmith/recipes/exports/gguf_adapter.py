"""The trained adapter as a GGUF, for llama.cpp to load beside the base; several can share one base."""

from __future__ import annotations

import sys
from pathlib import Path

from tunesmith.recipes.exports import Export, ExportContext, Planned, folder_bytes

HEADER_BYTES = 100_000


def write(context: ExportContext, variant: str, staged: Path) -> None:
    converter = context.vendor / "convert_lora_to_gguf.py"
    base = ["--base", str(context.base), "--outfile", str(staged), "--outtype", "f16"]
    context.run([sys.executable, str(converter), *base, str(context.adapter)])


def size(context: ExportContext, variant: str) -> int:
    return HEADER_BYTES + folder_bytes(context.adapter)


def planned(variant: str, model: Planned) -> int:
    return HEADER_BYTES + model.trained * 2


CARD = Export(
    key="gguf-adapter",
    title="GGUF adapter",
    blurb="The small trained part, for llama.cpp beside a GGUF of the base.",
    variants=("",),
    file_name=lambda variant: "adapter.gguf",
    write=write,
    size=size,
    planned=planned,
    how_to_load="`llama-cli -m BASE.gguf --lora {file}` with llama.cpp",
    kl_limits={"": 1e-3},
    of_adapter=True,
    beside_base=True,
    converts=True,
)
