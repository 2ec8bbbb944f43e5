"""The base with the adapter merged in: a plain transformers folder."""

from __future__ import annotations

import shutil
from pathlib import Path

from tunesmith.recipes.exports import Export, ExportContext, Planned, folder_bytes


def write(context: ExportContext, variant: str, staged: Path) -> None:
    # Evaluation and verification load the same folder, so it is merged once, before any export.
    shutil.copytree(context.merged, staged, copy_function=_link)


def size(context: ExportContext, variant: str) -> int:
    return folder_bytes(context.merged)


def planned(variant: str, model: Planned) -> int:
    return model.stored


def _link(source: str, target: str) -> None:
    """A hard link: both are on one disk, and neither is written to again."""
    Path(target).hardlink_to(source)


CARD = Export(
    key="merged",
    title="Merged model",
    blurb="A normal model folder for transformers, vLLM and others.",
    variants=("",),
    file_name=lambda variant: "merged",
    write=write,
    size=size,
    planned=planned,
    how_to_load="`AutoModelForCausalLM.from_pretrained('{file}')` with transformers",
)
