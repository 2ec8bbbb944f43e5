"""bitsandbytes: linear layers in 4 or 8 bits, as a folder that transformers and vLLM load as it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from tunesmith.recipes import compressing
from tunesmith.recipes.exports import TRANSFORMERS, Export, ExportContext, Planned
from tunesmith.recipes.quants import nf4
from tunesmith.recipes.words import say


class Kind(msgspec.Struct, frozen=True):
    """`bytes_a_weight` of the layers that are quantized. `kl_limit` is what the starter came to (docs/exports.md), with
    room: a small model, whose divergences are large.
    """

    bytes_a_weight: float
    kl_limit: float
    config: Callable[[Any], Any]


def eight_bits(dtype: Any) -> Any:
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(load_in_8bit=True)


# Measured on the tuned starter: nf4 0.45 and int8 0.026 nats a token.
KINDS: Mapping[str, Kind] = {
    "nf4": Kind(nf4.BYTES_A_WEIGHT, 0.8, nf4.config),
    "int8": Kind(1.0, 0.1, eight_bits),  # and a scale a row
}


def write(context: ExportContext, variant: str, staged: Path) -> None:
    context.compress(variant, staged)


def size(context: ExportContext, variant: str) -> int:
    return compressing.size(context, KINDS[variant].bytes_a_weight)


def planned(variant: str, model: Planned) -> int:
    return compressing.planned(model, KINDS[variant].bytes_a_weight)


def held(variant: str, model: Planned) -> int:
    return nf4.LIBRARY_BYTES + planned(variant, model)


CARD = Export(
    key="bnb",
    title="bitsandbytes",
    blurb="A folder in 4 or 8 bits for transformers and vLLM, on any device with bitsandbytes.",
    variants=tuple(KINDS),
    file_name=lambda variant: f"model-bnb-{variant}",
    write=write,
    size=size,
    planned=planned,
    held=held,
    how_to_load=(
        "`AutoModelForCausalLM.from_pretrained('{file}')` with transformers and bitsandbytes, `vllm serve {file}`"
    ),
    instead=lambda variant: say(
        "try_or_q8", "Export {target} or gguf:q8_0.", target="bnb:int8" if variant == "nf4" else "merged"
    ),
    kl_limits={variant: kind.kl_limit for variant, kind in KINDS.items()},
    runtime=TRANSFORMERS,
    package="bitsandbytes",
)
