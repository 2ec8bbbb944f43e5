"""The trained adapter alone, as peft saves it."""

from __future__ import annotations

import shutil
from pathlib import Path

from tunesmith.recipes.exports import Export, ExportContext, folder_bytes


def write(context: ExportContext, variant: str, staged: Path) -> None:
    shutil.copytree(context.adapter, staged)


def size(context: ExportContext, variant: str) -> int:
    return folder_bytes(context.adapter)


CARD = Export(
    key="adapter",
    title="Adapter",
    blurb="The small trained part, to be loaded beside the base with peft.",
    variants=("",),
    file_name=lambda variant: "adapter",
    write=write,
    size=size,
    of_adapter=True,
)
