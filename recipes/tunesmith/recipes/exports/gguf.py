"""GGUF for llama.cpp: its own converter, then its own quantizer, both of the library's version."""

from __future__ import annotations

from pathlib import Path

from tunesmith.recipes import gguf_types
from tunesmith.recipes.errors import RecipeError
from tunesmith.recipes.exports import Export, ExportContext, Planned, try_again, weight_counts
from tunesmith.recipes.models import headers
from tunesmith.recipes.models.safetensors import read
from tunesmith.recipes.words import say

CONVERTED = ("f32", "f16", "bf16", "q8_0")  # what the converter writes itself; the rest is quantized from one of these
SOURCES = {"F32": "f32", "BF16": "bf16"}  # in which nothing of weights stored so is lost; float16 for all others
HEADER_BYTES = 2_000_000  # vocabulary and merges; SmolLM2's 49 thousand tokens take 1.7 MB


def write(context: ExportContext, variant: str, staged: Path) -> None:
    if variant in CONVERTED:
        context.convert(variant, staged)
        return
    kind, matrix = gguf_types.named(variant)
    context.quantize(kind.number, matrix, staged)


def source(model: Path) -> str:
    """The type that holds the weights in the folder `model` as they are: what is quantized."""
    dtypes = {tensor.dtype for path in model.glob("*.safetensors") for tensor in read(path)}
    return next((kind for dtype, kind in SOURCES.items() if dtype in dtypes), "f16")


def size(context: ExportContext, variant: str) -> int:
    row = headers.config_of(context.merged).get("hidden_size")
    parameters = weight_counts(context.merged)
    known = row if isinstance(row, int) else gguf_types.BLOCK
    return HEADER_BYTES + gguf_types.weight_bytes(variant, parameters, known)


def planned(variant: str, model: Planned) -> int:
    return gguf_types.weight_bytes(variant, model.facts.parameters, model.facts.hidden_size)


def beside(variant: str, model: Planned) -> int:
    """What it is quantized from, where the converter does not write it itself."""
    return 0 if variant in CONVERTED else model.stored


def about(variant: str) -> str:
    kind, matrix = gguf_types.named(variant)
    needs = ", needs its importance matrix" if kind.needs_matrix else ", with importance matrix" if matrix else ""
    return f"about {kind.bits:.3g} bits a weight{needs}"


def suits(variant: str, parameters: int) -> bool:
    from tunesmith.recipes.planner.rules import rules

    return variant == rules().gguf_of(parameters)


def refusal(variant: str) -> RecipeError | None:
    """Of a type that is there with an importance matrix only, and was asked for without."""
    name = gguf_types.bare(variant)
    if name == variant or name not in gguf_types.TYPES or not gguf_types.TYPES[name].needs_matrix:
        return None
    return RecipeError(f"gguf:{name} needs an importance matrix", f"Give 'gguf:{name}': it is made of the run's rows.")


def instead(variant: str) -> str:
    if variant.endswith(gguf_types.WITHOUT):
        return say("try_matrix", "Export it with an importance matrix: gguf:{type}.", type=gguf_types.bare(variant))
    if larger := gguf_types.larger(variant):
        return say("try_larger", "Export a larger type such as gguf:{type}.", type=larger)
    return try_again(variant)


CARD = Export(
    key="gguf",
    title="GGUF",
    blurb="One file for llama.cpp, Ollama and LM Studio.",
    variants=gguf_types.variants(),
    planned=planned,
    beside=beside,
    how_to_load="`llama-cli -m {file}` with llama.cpp, `ollama create {name} -f Modelfile-{variant}` with Ollama",
    modelfile=True,
    listed=tuple(gguf_types.TYPES),
    about=about,
    suits=suits,
    note=("gguf types up to q6_k use an importance matrix of the run's rows; gguf:q4_k_m-plain and so on leave it out"),
    refusal=refusal,
    offered=("f16", "q8_0", "q6_k", "q5_k_m", "q4_k_m"),
    file_name=lambda variant: f"model-{variant}.gguf",
    write=write,
    size=size,
    converts=True,
    kl_limits={variant: gguf_types.named(variant)[0].kl_limit for variant in gguf_types.variants()},
    instead=instead,
)
