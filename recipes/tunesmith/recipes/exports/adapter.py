"""The trained adapter alone, as peft saves it."""

from __future__ import annotations

import shutil
from pathlib import Path

from tunesmith.recipes.exports import Export, ExportContext, Planned, folder_bytes


def write(context: ExportContext, variant: str, staged: Path) -> None:
    shutil.copytree(context.adapter, staged)


def size(context: ExportContext, variant: str) -> int:
    return folder_bytes(context.adapter)


def planned(variant: str, model: Planned) -> int:
    return model.trained * 4


CARD = Export(
    key="adapter",
    title="Adapter",
    blurb="The small trained part, to be loaded beside the base with peft.",
    variants=("",),
    file_name=lambda variant: "adapter",
    write=write,
    size=size,
    planned=planned,
    how_to_load="`PeftModel.from_pretrained(base, '{file}')` with peft",
    of_adapter=True,
)
